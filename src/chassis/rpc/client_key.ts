import { invariant } from "../../base/invariant.ts";

// A key names a client of any server in the daemon's life, over re-execs and crashes: a journal has it, and
// the exchange. The first two servers share the small numbers, as they always have, so that a journal of an
// earlier version means the same; each further pair has a range of its own.

/** Ids of one server, by far more than connections in a machine's life. */
const RANGE = 2 ** 40;

/**
 * Key of a client.
 *
 * @param ordinal place of its server among the daemon's servers, from 0
 * @param id its id in that server, from 1
 * @returns a safe integer, never 0
 */
export function clientKey(ordinal: number, id: number): number {
  invariant(id >= 0 && id < RANGE && ordinal >= 0 && ordinal < 4096, `No client ${id} of server ${ordinal}`);
  return Math.floor(ordinal / 2) * 2 * RANGE + id * 2 + ordinal % 2;
}

/** Ordinal of the server of a client with this key. */
export function ordinalOf(key: number): number {
  return Math.floor(key / (2 * RANGE)) * 2 + key % 2;
}

/** Id of a client with this key, in its server. */
export function idOf(key: number): number {
  return Math.floor(key % (2 * RANGE) / 2);
}
