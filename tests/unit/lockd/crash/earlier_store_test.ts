import assert from "node:assert/strict";
import { EarlierStore, type EarlierStoreSources } from "../../../../src/lockd/crash/earlier_store.ts";
import { EAGAIN, ENOPROTOOPT } from "../../../../src/os/errno.ts";
import { encodeText } from "../../../../src/os/text.ts";
import { KeptLog } from "../journal/kept_log.ts";
import { handedState } from "./journal_stage.ts";

/** A kernel in which one queue has two locks, at descriptor 20, and nothing at its other end. */
function playedSys(seekable = true): EarlierStoreSources["sys"] {
  let read = false;
  return {
    setSocketOption: () => seekable ? 0 : -ENOPROTOOPT,
    peekMessage: (fd, bytes) => {
      if (fd !== 20 || read) return -EAGAIN;
      read = true;
      const text = encodeText("E:I");
      bytes.set(text);
      return { length: text.length, descriptors: [31, 32] };
    },
    close: () => 0,
    fcntl: () => 0,
  };
}

const RETURNED = [
  { name: "journal", fd: 10 },
  { name: "virtlockd.socket", fd: 3 },
  { name: "queue-7-0", fd: 19 },
  { name: "queue-7-0", fd: 20 },
  { name: "tripwire-0", fd: 11 },
  { name: "B", fd: 12 },
];

Deno.test("EarlierStore is what the service manager handed over, where no image tells more", () => {
  const log = new KeptLog();
  const store = new EarlierStore({ sys: playedSys(), log, returned: RETURNED, handed: undefined });
  assert.deepEqual(store.descriptors.map(({ name, fd }) => `${name} ${fd}`), [
    "journal 10",
    "virtlockd.socket 3",
    "tripwire-0 11",
    "B 12",
    "E 31",
    "I 32",
  ]);
  assert.deepEqual(store.queues, [{ name: "queue-7-0", taken: 2, names: ["E", "I"] }]);
  // A listening socket may be systemd's own, and queues are told apart.
  assert.deepEqual(store.names([]), ["journal", "tripwire-0", "B"]);
  assert.deepEqual(store.tripwires, { handed: [], returned: [{ name: "tripwire-0", fd: 11 }] });
  assert.deepEqual(store.unwanted({ unwanted: ["B"] }), ["B"]);
  assert.deepEqual([store.unwanted(undefined), log.lines, store.told.store], [[], [], "none"]);
});

Deno.test("EarlierStore says which queue cannot be read, and that systemd keeps it on", () => {
  const log = new KeptLog();
  const returned = [{ name: "queue-7-0", fd: 20 }];
  const store = new EarlierStore({ sys: playedSys(false), log, returned, handed: undefined });
  assert.deepEqual([store.descriptors, store.queues, log.lines.length], [[], [], 1]);
  assert.match(
    log.lines[0] ?? "",
    /^error: Locks that systemd keeps cannot be read, it keeps them on: queue-7-0: setsockopt SO_PEEK_OFF: /,
  );
});

const HANDOVER = {
  store: "queues",
  dropped: false,
  drops: 3,
  tight: false,
  apart: ["M"],
  listeners: ["virtlockd.socket"],
  queues: [
    { name: "queue-7-0", taken: 2, names: ["E"] },
    { name: "queue-7-1", taken: 1, names: ["I"] },
  ],
  missing: ["queue-7-1", "F"],
  leftOver: ["C"],
};
const SLOTS = [
  { kind: "lock", id: 1, index: 1 },
  { kind: "lock client", id: 2, index: 0 },
  { kind: "lock client", id: 4, index: 1 },
] as const;

/** The store of which an earlier image tells. */
function told(handover: Parameters<typeof handedState>[1]): EarlierStore {
  const kept = [{ purpose: "journal", fd: 9 }, { purpose: "tripwire-0", fd: 8 }];
  return new EarlierStore({
    sys: playedSys(),
    log: new KeptLog(),
    returned: [],
    handed: handedState(kept, handover),
  });
}

Deno.test("EarlierStore is what an earlier image tells, without what was still to be sent", () => {
  const store = told(HANDOVER);
  assert.deepEqual(store.queues.map(({ name }) => name), ["queue-7-0"]);
  // The slot of the second client is F, which is missing; locks lie in queues.
  assert.deepEqual(store.names(SLOTS), ["journal", "virtlockd.socket", "B", "C", "M"]);
  assert.deepEqual(store.tripwires, { handed: [{ name: "tripwire-0", fd: 8 }], returned: [] });
  assert.deepEqual([store.unwanted({ unwanted: ["B"] }), store.told.drops], [["C"], 3]);
});

Deno.test("EarlierStore of a version without queues has each lock by itself, and without a store nothing", () => {
  assert.deepEqual(told({ ...HANDOVER, store: true, apart: [] }).names(SLOTS), [
    "journal",
    "virtlockd.socket",
    "E",
    "B",
    "C",
  ]);
  assert.deepEqual(told({ ...HANDOVER, store: false }).names(SLOTS), []);
});
