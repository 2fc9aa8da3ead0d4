import { HELD, type Regrant } from "../lockspace/lock_record.ts";
import { lockFilePath } from "../lockspace/resource.ts";
import { Code, GrantFlag } from "./operation_codes.ts";
import type { HoldingRecord, JournaledLock, OwnerRecord } from "./journaled_lock.ts";

/** null where a field behind it is there. */
export type GrantFields = [
  id: number,
  place: number | string,
  name: string,
  flags: number,
  /** Of each holding the owner's number, and since when. */
  holdings: number[],
  slot?: number | null,
  unusual?: string | null,
  doubtful?: string,
];

/** What numbers mean in the log in which a lock is written, or from which it is read. */
export interface WrittenNames {
  /** Number of a lockspace; undefined when it has none. */
  lockspace(path: string): number | undefined;
  owner(owner: OwnerRecord): number;
}

/** The other way round. Throws SyntaxError for a number that means nothing. */
export interface ReadNames {
  lockspace(place: number): string;
  owner(number: number): OwnerRecord;
}

const REGRANT: Readonly<Record<Regrant, number>> = {
  "half-failed": GrantFlag.HALF_FAILED,
  "while-paused": GrantFlag.WHILE_PAUSED,
  // By the other bit a version that does not know this one gives it to its owner again, and to nobody else.
  "parked": GrantFlag.PARKED | GrantFlag.HALF_FAILED,
  "leaving": GrantFlag.LEAVING,
};

/**
 * A lock as an element of a record. Put together by hand: an array for JSON.stringify would cost each request
 * as much as the rest of a record.
 *
 * Of its state only doubt is written. Whatever else there is to know of a lock, the next daemon asks the
 * kernel.
 */
export function encodeLock({ record, lock, slot }: JournaledLock, names: WrittenNames): string {
  const { id, lockspace, name, path, shared, autocreate, holdings, state, regrant } = record;
  const flags = (shared ? GrantFlag.SHARED : 0) | (autocreate ? GrantFlag.AUTOCREATE : 0) |
    (lock === "posix" ? GrantFlag.POSIX : 0) | (regrant === undefined ? 0 : REGRANT[regrant]);
  const place = names.lockspace(lockspace) ?? JSON.stringify(lockspace);
  let owners = "";
  for (const { owner, since } of holdings) {
    owners += `${owners === "" ? "" : ","}${names.owner(owner)},${since}`;
  }
  const text = `[${Code.grant},${id},${place},${JSON.stringify(name)},${flags},[${owners}]`;
  const unusual = path === lockFilePath(lockspace, name) ? undefined : path;
  if (unusual === undefined && state.kind !== "doubtful") {
    return slot === undefined ? `${text}]` : `${text},${slot}]`;
  }
  // What is not there is null, or left out at the end.
  const rest = state.kind === "doubtful" ? [slot, unusual, state.reason] : [slot, unusual];
  return `${text},${JSON.stringify(rest).slice(1)}`;
}

/** Reads what {@link encodeLock} has written. @throws SyntaxError when a number in it means nothing */
export function decodeLock(
  [id, place, name, flags, owners, slot, unusual, doubtful]: GrantFields,
  names: ReadNames,
): JournaledLock {
  const lockspace = typeof place === "string" ? place : names.lockspace(place);
  const holdings: HoldingRecord[] = [];
  for (let index = 0; index < owners.length; index += 2) {
    holdings.push({ owner: names.owner(owners[index] as number), since: owners[index + 1] as number });
  }
  const regrant = regrantOf(flags);
  return {
    record: {
      id,
      lockspace,
      name,
      path: unusual ?? lockFilePath(lockspace, name),
      shared: (flags & GrantFlag.SHARED) !== 0,
      autocreate: (flags & GrantFlag.AUTOCREATE) !== 0,
      holdings,
      state: doubtful === undefined ? HELD : { kind: "doubtful", reason: doubtful },
      ...(regrant === undefined ? {} : { regrant }),
    },
    lock: (flags & GrantFlag.POSIX) !== 0 ? "posix" : "ofd",
    ...(typeof slot === "number" ? { slot } : {}),
  };
}

function regrantOf(flags: number): Regrant | undefined {
  if ((flags & GrantFlag.PARKED) !== 0) return "parked";
  if ((flags & GrantFlag.LEAVING) !== 0) return "leaving";
  if ((flags & GrantFlag.HALF_FAILED) !== 0) return "half-failed";
  return (flags & GrantFlag.WHILE_PAUSED) !== 0 ? "while-paused" : undefined;
}
