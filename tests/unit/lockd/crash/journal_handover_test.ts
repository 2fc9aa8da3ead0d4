import assert from "node:assert/strict";
import { handoverOf, readHandover, writeHandover } from "../../../../src/lockd/crash/journal_handover.ts";

const NOTHING = {
  store: "none",
  dropped: false,
  drops: 0,
  tight: false,
  apart: [],
  listeners: [],
  queues: [],
  missing: [],
  leftOver: [],
};

Deno.test("readHandover() gives back what writeHandover() wrote", () => {
  for (const store of ["none", "single", "queues"] as const) {
    const handover = {
      store,
      dropped: true,
      drops: 2,
      tight: true,
      apart: ["E"],
      listeners: ["virtlockd.socket"],
      queues: [{ name: "queue-1-1", taken: 3, names: ["Aa", "b"] }],
      missing: ["A"],
      leftOver: ["B", "C"],
    };
    assert.deepEqual(readHandover(writeHandover(handover)), handover);
  }
});

Deno.test("readHandover() knows a store of the version before queues, which said true", () => {
  assert.equal(readHandover({ store: true }).store, "single");
});

Deno.test("readHandover() takes what is not there, or of another version, for nothing", () => {
  for (
    const value of [undefined, null, 7, "x", [], { store: "yes", missing: "A" }]
  ) {
    assert.deepEqual(readHandover(value), NOTHING);
  }
  assert.deepEqual(readHandover({ missing: ["A", 7] }).missing, ["A"]);
});

Deno.test("handoverOf() names the locks that lie apart from the queues, and the sockets that are kept", () => {
  const contents = {
    names: ["journal", "A", "queue-1-0", "virtlockd-admin.socket"],
    queues: [{ name: "queue-1-0", taken: 0, names: ["E"] }],
    missing: ["I"],
    leftOver: ["M"],
  };
  assert.deepEqual(handoverOf({ contents, kept: true, tight: true }, 2), {
    store: "queues",
    dropped: false,
    drops: 2,
    tight: true,
    apart: ["A"],
    listeners: ["virtlockd-admin.socket"],
    queues: [{ name: "queue-1-0", taken: 0, names: ["E"] }],
    missing: ["I"],
    leftOver: ["M"],
  });
});

Deno.test("handoverOf() tells a store that nothing is kept in from one that is not there", () => {
  const contents = { names: [], queues: [], missing: [], leftOver: [] };
  const { store, dropped } = handoverOf({ contents, kept: false, tight: false }, 0);
  assert.deepEqual([store, dropped], ["none", true]);
  assert.deepEqual(handoverOf(undefined, 0), NOTHING);
});
