import assert from "node:assert/strict";
import { CommandError } from "../../../../../src/chassis/cli/command.ts";
import { Fencer } from "../../../../../src/lockd/cli/cluster/fencer.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import { decodeSession } from "../../../../../src/lockd/cluster/keys/session_record.ts";
import type { KeyValue } from "../../../../../src/etcd/wire/transaction.ts";
import { PlayedCluster } from "./played_cluster.ts";

const WORD = { by: "ann", from: "desk", at: 1000 };

/** A cluster with one host that is not heard of, and whoever fences it. */
class Fenced extends PlayedCluster {
  readonly fencer = new Fencer({ questions: this.questions, keys: this.keys, word: WORD });

  constructor(more: { lost?: number } = {}) {
    super();
    this.host("a", { heard: false, ...more });
  }

  /** Its session as it is now. */
  get entry(): KeyValue {
    const [entry] = this.questions.get(this.keys.session("s-a"));
    return entry ?? assert.fail("the session is gone");
  }

  /** The host writes its session anew, as its daemon does. */
  bump(): void {
    const { fencing: _, ...record } = decodeSession(this.entry);
    this.etcd.put(this.entry.key, encodeRecord({ ...record, nonce: "n2" }));
  }
}

Deno.test("Fencer condemns a host, gives it 10 s to object, and fences it", () => {
  const cluster = new Fenced();
  const states: (string | undefined)[] = [];
  const pausing = cluster.questions.pause.bind(cluster.questions);
  cluster.questions.pause = (milliseconds) => {
    states.push(decodeSession(cluster.entry).fencing?.state);
    pausing(milliseconds);
  };
  const fenced = cluster.fencer.fence(cluster.entry, false);
  assert.equal(cluster.now, 10_000);
  assert.deepEqual(new Set(states), new Set(["condemned"]));
  assert.deepEqual(fenced, { key: cluster.entry.key, revision: cluster.entry.changedAt });
  const { host, nonce, fencing } = decodeSession(cluster.entry);
  assert.deepEqual({ host, nonce, fencing }, {
    host: "a",
    nonce: "n",
    fencing: { state: "fenced", ...WORD },
  });
});

Deno.test("whoever fences a host while etcd goes away is told that it is not fenced, and what it is", () => {
  const cluster = new Fenced();
  const { entry } = cluster;
  cluster.questions.pause = () => {
    cluster.questions.get = () => {
      throw new CommandError(2, "etcd does not answer: etcd has not answered within 4 s");
    };
  };
  assert.throws(
    () => cluster.fencer.fence(entry, false),
    {
      code: 2,
      message:
        "etcd does not answer: etcd has not answered within 4 s. The host has not been fenced; it is condemned, which " +
        "its daemon takes back if it lives: call this again when etcd answers",
    },
  );
});

Deno.test("Fencer does not fence a host that objects, at any moment", () => {
  for (const at of [0, 1, 5, 19]) {
    const cluster = new Fenced();
    let paused = 0;
    cluster.questions.pause = () => {
      if (paused++ === at) cluster.bump();
    };
    assert.throws(
      () => cluster.fencer.fence(cluster.entry, false),
      (error) =>
        error instanceof CommandError && error.code === 1 && /it lives, for its session/.test(error.message),
    );
    assert.equal(decodeSession(cluster.entry).fencing, undefined);
  }
});

Deno.test("Fencer says who has fenced a host meanwhile", () => {
  for (const at of [0, 5]) {
    const cluster = new Fenced();
    let paused = 0;
    cluster.questions.pause = () => {
      if (paused++ !== at) return;
      const fencing = {
        state: "fenced",
        by: "the host itself after a reboot",
        from: "kvm-a",
        at: 1,
        boot: "b2",
      } as const;
      cluster.etcd.put(cluster.entry.key, encodeRecord({ ...decodeSession(cluster.entry), fencing }));
    };
    assert.throws(
      () => cluster.fencer.fence(cluster.entry, false),
      /'kvm-a' has been fenced meanwhile, by the host itself after a reboot on kvm-a: its locks are free$/,
    );
  }
});

Deno.test("Fencer does not fence a session that was written anew since it was shown", () => {
  const cluster = new Fenced();
  const shown = cluster.entry;
  cluster.bump();
  assert.throws(() => cluster.fencer.fence(shown, true), /it lives, for its session/);
  assert.equal(decodeSession(cluster.entry).fencing, undefined);
});

Deno.test("Fencer does not wait for a host that is said to be dead", () => {
  const cluster = new Fenced();
  cluster.fencer.fence(cluster.entry, true);
  assert.equal(cluster.now, 0);
  assert.equal(decodeSession(cluster.entry).fencing?.state, "fenced");
});

Deno.test("Fencer takes a session that is fenced as it is, and goes on with one that is condemned", () => {
  const cluster = new Fenced();
  const first = cluster.fencer.fence(cluster.entry, true);
  const again = new Fencer({
    questions: cluster.questions,
    keys: cluster.keys,
    word: { ...WORD, by: "bob" },
  });
  assert.deepEqual(again.fence(cluster.entry, false), first);
  assert.equal(decodeSession(cluster.entry).fencing?.by, "ann");
  const other = new Fenced();
  const record = decodeSession(other.entry);
  other.etcd.put(other.entry.key, encodeRecord({ ...record, fencing: { state: "condemned", ...WORD } }));
  const before = other.entry.changedAt;
  other.fencer.fence(other.entry, false);
  assert.equal(other.entry.changedAt, before + 1);
});

Deno.test("Fencer does not fence a host again whose guests run on what they have lost, unless it is dead", () => {
  const cluster = new Fenced({ lost: 2 });
  assert.throws(
    () => cluster.fencer.fence(cluster.entry, false),
    /its guests have lost 2 locks when it was fenced before, and were not gone yet/,
  );
  // Who has said that it is dead, and no more yet, has not said that its guests are gone.
  cluster.fencer.condemn(cluster.entry, true);
  assert.deepEqual([decodeSession(cluster.entry).fencing?.state, decodeSession(cluster.entry).lost], [
    "condemned",
    2,
  ]);
  cluster.fencer.fence(cluster.entry, true);
  assert.deepEqual([decodeSession(cluster.entry).fencing?.state, decodeSession(cluster.entry).lost], [
    "fenced",
    undefined,
  ]);
});

Deno.test("Fencer takes away all that a fenced session has, and nothing of others", () => {
  const cluster = new Fenced();
  cluster.host("b");
  for (let number = 0; number < 120; number++) cluster.lock("s-a", `disk${number}`);
  cluster.lock("s-a", "common", true);
  cluster.lock("s-b", "common", true);
  // Another host has got hold of this one meanwhile.
  cluster.lock("s-b", "disk7");
  const fenced = cluster.fencer.fence(cluster.entry, true);
  assert.equal(cluster.fencer.sweep("s-a", fenced), 120);
  const { keys, etcd } = cluster;
  assert.deepEqual(etcd.keys(keys.exclusives), [keys.exclusive({ space: "scsi", name: "disk7" })]);
  assert.deepEqual(etcd.keys(keys.shares), [keys.share({ space: "scsi", name: "common" }, "s-b")]);
  assert.deepEqual(etcd.keys(keys.ownList("s-a")), []);
  assert.equal(etcd.keys(keys.ownList("s-b")).length, 2);
});

Deno.test("Fencer takes nothing away from a session whose record is another one by now", () => {
  const cluster = new Fenced();
  cluster.lock("s-a", "disk");
  const fenced = { key: cluster.entry.key, revision: cluster.entry.changedAt };
  cluster.bump();
  assert.equal(cluster.fencer.sweep("s-a", fenced), 0);
  assert.equal(cluster.etcd.keys(cluster.keys.exclusives).length, 1);
});

Deno.test("Fencer takes away the marks of a fenced session's paused guests, and tells locks only", () => {
  const cluster = new Fenced();
  cluster.host("b");
  cluster.lock("s-a", "disk");
  for (let pid = 1; pid <= 60; pid++) cluster.mark("s-a", `paused${pid}`, pid);
  cluster.mark("s-b", "paused1", 7);
  const { keys, etcd, fencer } = cluster;
  // Before the word is final nothing is taken away.
  const shown = { key: cluster.entry.key, revision: cluster.entry.changedAt };
  const fenced = fencer.fence(cluster.entry, true);
  assert.equal(fencer.sweep("s-a", shown), 0);
  assert.equal(etcd.keys("/paused/").length, 2 * 61);
  assert.equal(fencer.sweep("s-a", fenced), 1);
  assert.deepEqual(etcd.keys(keys.ownList("s-a")), []);
  const theirs = keys.paused({ space: "scsi", name: "paused1" }, "s-b", { pid: 7, start: 1, uuid: "u" });
  assert.deepEqual(etcd.keys("/paused/"), [keys.own("s-b", theirs), theirs].toSorted());
});

Deno.test("where etcd goes away behind the word it is said what was done: fenced, or not wholly removed", () => {
  const cluster = new Fenced();
  cluster.lock("s-a", "disk");
  const fenced = cluster.fencer.fence(cluster.entry, true);
  cluster.questions.change = () => ({ kind: "unknown", reason: "nobody answers" });
  assert.throws(() => cluster.fencer.sweep("s-a", fenced), {
    code: 2,
    message:
      "etcd does not answer: nobody answers. The host is fenced, and hosts that ask get its locks; call this " +
      "again to take away what is left of them",
  });
  assert.throws(() => cluster.fencer.forget("s-a", fenced), {
    code: 2,
    message: "etcd does not answer: nobody answers. The host is not wholly removed; call this again",
  });
});
