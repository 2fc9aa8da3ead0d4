import type { Answer, KeyRange } from "../wire/link_messages.ts";
import { ONLY_DELETES, WATCH_REQUEST, WATCH_RESPONSE } from "./etcd_messages.ts";
import { decodeMessage, encodeMessage } from "./protobuf.ts";
import { list, message } from "./transaction_codec.ts";

/** Asks for a watch that is told of keys that are deleted, and of none that is written. */
export function encodeDeletes({ first, behind }: KeyRange, from: number): Uint8Array {
  const create = { key: first, rangeEnd: behind, startRevision: from, filters: ONLY_DELETES };
  return encodeMessage(WATCH_REQUEST, { create });
}

/**
 * What such a watch says. etcd ends one that begins at a revision that it has compacted away.
 *
 * @returns undefined when it is no news
 * @throws RangeError when it is malformed
 */
export function decodeDeletes(bytes: Uint8Array): Answer | undefined {
  const { events, canceled, forgotten } = decodeMessage(WATCH_RESPONSE, bytes);
  if (typeof forgotten === "number" && forgotten > 0) {
    return { kind: "deleted", keys: [], all: false, until: forgotten - 1 };
  }
  if (canceled === true) return { kind: "refused", reason: "etcd has ended the watch" };
  const keys = list(events).map((event) => message(message(event)["kv"]));
  const last = keys.at(-1);
  if (last === undefined) return undefined;
  return {
    kind: "deleted",
    // All of one revision come together, and in their order.
    keys: keys.map(({ key }) => String(key)),
    all: true,
    until: Number(last["modRevision"]),
  };
}
