import assert from "node:assert/strict";
import { ClusterNames } from "../../../../../src/lockd/cluster/keys/names.ts";
import { GrantedLocks } from "../../../../../src/lockd/cluster/locks/granted_locks.ts";
import { KeptLocks } from "../../../../../src/lockd/cluster/locks/kept_locks.ts";

const WEB = { pid: 100, name: "web", uuid: "u-web", id: 1 };
const LOCK = { key: "k", own: "o", value: "v" };

/** A host that has one lock in etcd. */
class Host {
  readonly told: string[] = [];
  /** Marks of paused guests that etcd has. */
  readonly marked = new Set<string>();
  readonly granted = new GrantedLocks({ end: () => {} });
  lost: string | undefined;
  readonly kept = new KeptLocks({
    granted: this.granted,
    names: names(),
    turns: {
      unuse: (_lock, changed) => void this.told.push(`unuse ${changed.map(({ key }) => key)}`),
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
  for (const path of ["/scsi/disk", "/scsi/other"]) {
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

Deno.test("what paused guests were told is taken back when the lock was not used, and stays when its guest ran", () => {
  const host = new Host();
  const changed = [{ key: "m", before: "b", after: "a" }];
  host.granted.took("/scsi/disk", LOCK, changed);
  host.kept.unused("/scsi/disk");
  assert.deepEqual(host.told, ["unuse m"]);
  host.granted.took("/scsi/disk", LOCK, changed);
  host.kept.keeps("/scsi/disk");
  host.kept.unused("/scsi/disk");
  assert.deepEqual(host.told, ["unuse m", "unuse "]);
});

Deno.test("what another host asks for is asked of the lock core by the path of its file", () => {
  const host = new Host();
  assert.equal(host.kept.asked("k", "u-db"), true);
  assert.equal(host.kept.asked("other", "u-db"), false);
  assert.deepEqual(host.told, ["asked for /scsi/disk by u-db"]);
});
