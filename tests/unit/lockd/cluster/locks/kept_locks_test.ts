import assert from "node:assert/strict";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { ClusterNames } from "../../../../../src/lockd/cluster/keys/names.ts";
import { GrantedLocks } from "../../../../../src/lockd/cluster/locks/granted_locks.ts";
import { KeptLocks } from "../../../../../src/lockd/cluster/locks/kept_locks.ts";
import { UngrantedTries } from "../../../../../src/lockd/cluster/locks/ungranted_tries.ts";

const WEB = { pid: 100, name: "web", uuid: "u-web", id: 1 };
const LOCK = { key: "k", own: "o", value: "v" };

/** A host that has one lock in etcd. */
class Host {
  readonly told: string[] = [];
  /** Marks of paused guests that etcd has. */
  readonly marked = new Set<string>();
  readonly tries = new UngrantedTries([], () => {});
  readonly granted = new GrantedLocks(this.tries);
  lost: string | undefined;
  /** Those who wait until it is known what etcd has. */
  readonly waiting: ((reason: string | undefined) => void)[] = [];
  readonly kept = new KeptLocks({
    whenKnown: (ready) => void this.waiting.push(ready),
    granted: this.granted,
    tries: this.tries,
    names: names(),
    keys: new ClusterKeys("test"),
    turns: {
      give: ({ key }, _done, mark) => void this.told.push(`give ${key}, mark ${mark?.key}`),
      markOf: (_name, { domain, pid, start }) => ({
        key: `mark of ${domain} ${pid}.${start}`,
        own: "o",
        value: "v",
      }),
    },
    now: () => 5,
    markOf: ({ pid }) => ({ pid, start: 9 }),
    recorded: (go) => {
      this.told.push("recorded");
      go();
    },
    askedFor: (path, uuid) => {
      this.told.push(`asked for ${path} by ${uuid}`);
      return true;
    },
    isMarked: (key) => this.marked.has(key),
    live: () => true,
    lost: () => this.lost,
  });

  constructor() {
    this.granted.adopt("/scsi/disk", LOCK);
  }
}

function names(): ClusterNames {
  const all = new ClusterNames([{ name: "scsi", directory: "/scsi" }], (path) => path);
  for (const path of ["/scsi/disk", "/scsi/other", "/scsi/third"]) {
    const name = all.find(path);
    if (name !== undefined) all.learn(path, name);
  }
  return all;
}

Deno.test("a lock that is over without a file is given back in etcd, and is nothing that is put there again", () => {
  const host = new Host();
  host.kept.gone("/scsi/disk", undefined);
  assert.deepEqual(host.told, ["recorded", "give k, mark undefined"]);
  assert.deepEqual([host.granted.count, [...host.granted.all()], host.granted.holds("k")], [0, [], false]);
});

Deno.test("a guest that is paused leaves a mark where its lock was that had no file", () => {
  const host = new Host();
  host.kept.gone("/scsi/disk", WEB);
  assert.deepEqual(host.told, ["recorded", "give k, mark mark of web 100.9"]);
});

Deno.test("what etcd does not have for this host is not given back", () => {
  const host = new Host();
  host.kept.gone("/scsi/other", WEB);
  host.kept.gone("/elsewhere", undefined);
  assert.deepEqual([host.told, host.granted.count], [[], 1]);
});

Deno.test("a lock whose guest ran beside another one is not kept for it when it is paused", () => {
  const host = new Host();
  const holder = { session: "s", attempt: "a", domain: "web", uuid: "u-web", pid: 100, start: 9, since: 5 };
  host.granted.adopt("/scsi/disk", { key: "k", own: "o", value: JSON.stringify(holder) });
  host.kept.known();
  assert.equal(host.kept.keeps("/scsi/disk"), true);
  host.marked.add("mark of web 100.9");
  assert.equal(host.kept.keeps("/scsi/disk"), false);
});

Deno.test("a lock that another host waits for, or that this one has no more, is not kept", () => {
  const host = new Host();
  host.kept.known();
  host.kept.pending = new Set(["k"]);
  assert.equal(host.kept.keeps("/scsi/disk"), false);
  assert.equal(host.kept.keeps("/scsi/other"), false);
  assert.equal(host.kept.keeps("/elsewhere"), false);
  assert.deepEqual([host.kept.covers("/scsi/disk"), host.kept.covers("/elsewhere")], [true, false]);
  host.kept.pending = new Set();
  host.lost = "a copy of this host is running";
  assert.equal(host.kept.keeps("/scsi/disk"), false);
});

Deno.test("a lock is kept before it is known what etcd has, and withheld when the cluster does not grant it", () => {
  const host = new Host();
  assert.equal(host.kept.keeps("/scsi/other"), true);
  assert.equal(host.kept.withheld("/scsi/other"), undefined);
  host.kept.known();
  assert.equal(host.kept.withheld("/scsi/disk"), undefined);
  assert.equal(host.kept.withheld("/scsi/other"), "the cluster does not grant it to this host");
  host.lost = "a copy of this host is running";
  assert.equal(host.kept.withheld("/scsi/disk"), "a copy of this host is running");
});

const CHANGED = [{ key: "m", before: "b", after: "a" }];

Deno.test("what paused guests were told of a lock that was no use is to be taken back with it, unless it is granted again", () => {
  const host = new Host();
  host.granted.took("/scsi/disk", LOCK, CHANGED);
  host.kept.unused("/scsi/disk");
  assert.deepEqual(host.tries.all, [{ value: "v", changed: CHANGED }]);
  // Reconciling finds what is known.
  host.granted.adopt("/scsi/disk", LOCK);
  assert.deepEqual(host.tries.changedBy("v"), CHANGED);
  assert.equal(host.kept.regrants("/scsi/disk"), undefined);
  assert.deepEqual(host.tries.all, []);
  host.kept.unused("/scsi/disk");
  assert.deepEqual(host.tries.all, [{ value: "v", changed: CHANGED }]);
  assert.equal(host.kept.regrants("/scsi/other"), undefined);
  assert.equal(host.kept.regrants("/elsewhere/disk"), undefined);
  assert.equal(host.tries.all.length, 1);
});

Deno.test("a lock that was no use is not granted again before it is known which one that was", () => {
  const host = new Host();
  const guest = { pid: 1, start: 1, uuid: "u" };
  const key = new ClusterKeys("test").paused({ space: "scsi", name: "other" }, "s", guest);
  const changed = [{ key, before: "b", after: "a" }];
  host.tries.put({ value: "w", changed });
  assert.equal(host.kept.regrants("/scsi/third"), undefined);
  assert.equal(host.kept.regrants("/scsi/other"), "it is not known yet what etcd has of this host");
  host.granted.adopt("/scsi/other", { key: "k2", own: "o2", value: "w" });
  assert.deepEqual(host.tries.all, [{ value: "w", changed }]);
  assert.equal(host.kept.regrants("/scsi/other"), undefined);
  assert.deepEqual(host.tries.all, []);
});

Deno.test("a lock that was no use is not kept for its guest, which would run without anybody being told", () => {
  const host = new Host();
  host.granted.took("/scsi/disk", LOCK, CHANGED);
  host.kept.unused("/scsi/disk");
  assert.equal(host.kept.keeps("/scsi/disk"), false);
  host.kept.gone("/scsi/disk", WEB);
  assert.deepEqual(host.tries.changedBy("v"), CHANGED);
});

Deno.test("of a lock whose guest has run nothing is taken back", () => {
  const host = new Host();
  host.granted.took("/scsi/disk", LOCK, CHANGED);
  assert.equal(host.kept.keeps("/scsi/disk"), true);
  host.kept.unused("/scsi/disk");
  assert.deepEqual(host.tries.all, []);
});

Deno.test("a share is joined where etcd has it for this host, and not before that is known", () => {
  const host = new Host();
  const answers: (string | undefined)[] = [];
  const joins = (path: string) => host.kept.joins(path, (reason) => void answers.push(reason));
  for (const path of ["/scsi/disk", "/elsewhere", "/scsi/other", "/scsi/third"]) joins(path);
  assert.deepEqual([answers.splice(0), host.waiting.length], [[undefined, undefined], 2]);
  host.granted.adopt("/scsi/other", { key: "k2", own: "o2", value: "w" });
  host.kept.known();
  for (const ready of host.waiting.splice(0)) ready(undefined);
  assert.deepEqual(answers.splice(0), [undefined, "the cluster does not grant it to this host"]);
  joins("/scsi/third");
  host.lost = "a copy of this host is running";
  joins("/scsi/disk");
  assert.deepEqual(answers, ["the cluster does not grant it to this host", "a copy of this host is running"]);
});

Deno.test("who wants to share a lock does not wait for etcd for ever", () => {
  const host = new Host();
  const answers: (string | undefined)[] = [];
  host.kept.joins("/scsi/other", (reason) => void answers.push(reason));
  for (const ready of host.waiting) ready("etcd does not answer");
  assert.deepEqual(answers, ["etcd does not answer"]);
});

Deno.test("what another host asks for is asked of the lock core by the path of its file", () => {
  const host = new Host();
  assert.equal(host.kept.asked("k", "u-db"), true);
  assert.equal(host.kept.asked("other", "u-db"), false);
  assert.deepEqual(host.told, ["asked for /scsi/disk by u-db"]);
});
