import assert from "node:assert/strict";
import { ClusterLockFiles } from "../../../../../src/lockd/cluster/locks/cluster_lock_files.ts";
import { ClusterNames } from "../../../../../src/lockd/cluster/keys/names.ts";
import type { LockFiles } from "../../../../../src/lockd/lockspace/lock_files.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const WEB = { pid: 100, name: "web", uuid: "u-web", id: 1 };
const LOCK = { key: "k", own: "o", value: "v" };
const NOT_ASKED = () => assert.fail("no file is touched");

/** Files of a host that has one lock in etcd. */
class Host {
  readonly told: string[] = [];
  /** Marks of paused guests that etcd has. */
  readonly marked = new Set<string>();
  readonly files = new ClusterLockFiles({
    files: NO_FILES,
    names: new ClusterNames([{ name: "scsi", directory: "/scsi" }], (path) => path),
    devices: undefined,
    mayHang: () => false,
    locks: {
      take: () => assert.fail("nothing is taken"),
      clear: () => assert.fail("nothing is cleared"),
    },
    turns: {
      unuse: () => assert.fail("nothing was used"),
      give: ({ key }, _done, mark) => void this.told.push(`give ${key}, mark ${mark?.key}`),
      markOf: (_name, { domain, pid, start }) => ({
        key: `mark of ${domain} ${pid}.${start}`,
        own: "o",
        value: "v",
      }),
    },
    loop: new PlayedTime().loop(),
    clock: () => 0,
    now: () => 5,
    patience: () => 1000,
    joining: () => 0,
    markOf: ({ pid }) => ({ pid, start: 9 }),
    recorded: (go) => {
      this.told.push("recorded");
      go();
    },
    askedFor: () => false,
    isMarked: (key) => this.marked.has(key),
    live: () => true,
    lost: () => undefined,
    whenKnown: (ready) => ready(),
  });

  constructor() {
    this.files.adopt("/scsi/disk", LOCK);
  }
}

const NO_FILES: LockFiles = {
  lock: NOT_ASKED,
  unlock: NOT_ASKED,
  create: NOT_ASKED,
  remove: NOT_ASKED,
  makeDirectory: NOT_ASKED,
  checkDirectory: NOT_ASKED,
};

Deno.test("a lock that is over without a file is given back in etcd, and is nothing that is put there again", () => {
  const host = new Host();
  host.files.gone("/scsi/disk", undefined);
  assert.deepEqual(host.told, ["recorded", "give k, mark undefined"]);
  assert.deepEqual([host.files.count, [...host.files.all()], host.files.holds("k")], [0, [], false]);
});

Deno.test("a guest that is paused leaves a mark where its lock was that had no file", () => {
  const host = new Host();
  host.files.gone("/scsi/disk", WEB);
  assert.deepEqual(host.told, ["recorded", "give k, mark mark of web 100.9"]);
});

Deno.test("what etcd does not have for this host is not given back", () => {
  const host = new Host();
  host.files.gone("/scsi/other", WEB);
  host.files.gone("/elsewhere", undefined);
  assert.deepEqual([host.told, host.files.count], [[], 1]);
});

Deno.test("a lock whose guest ran beside another one is not kept for it when it is paused", () => {
  const host = new Host();
  const holder = { session: "s", attempt: "a", domain: "web", uuid: "u-web", pid: 100, start: 9, since: 5 };
  host.files.adopt("/scsi/disk", { key: "k", own: "o", value: JSON.stringify(holder) });
  host.files.known();
  assert.equal(host.files.keeps("/scsi/disk"), true);
  host.marked.add("mark of web 100.9");
  assert.equal(host.files.keeps("/scsi/disk"), false);
});
