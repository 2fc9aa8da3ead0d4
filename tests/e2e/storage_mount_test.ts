import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { runOk } from "./support/command.ts";
import { pidIn } from "./support/pid_file.ts";
import { OUR_STORAGE_DAEMON, StoragePeer } from "./support/storage_peer.ts";
import { until } from "../support/until.ts";

// A pool whose mount or whose making is under way when its daemon is killed, or when its start is cancelled.
// mount(8) is real; what it runs for NFS is a script that mounts a tmpfs and stands still where the test
// wants it to. mkfs(8) is a script that stands still.

const SCRIPT = `#!/bin/sh
if [ -e "$0.hold-before" ]; then : >"$0.before"; exec sleep 1000; fi
mount -t tmpfs "$1" "$2"
if [ -e "$0.hold-after" ]; then : >"$0.after"; exec sleep 1000; fi
`;
/** Writes something and stands still before it has made a file system of it. */
const MKFS = `#!/bin/sh
for device; do :; done
echo half >"$device"
: >"$0.begun"
sleep 1000
echo made >"$device"
`;
const HELPER = "/usr/sbin/mount.nfs";
const POOL = ["pool-create-as", "t", "netfs", "--source-host", "localhost", "--source-path", "/export"];

/** A host on which mounting an export stands still before or after the mount. */
async function hostWith(hold: "before" | "after"): Promise<StoragePeer> {
  const peer = await StoragePeer.create("ours");
  const directory = peer.directory;
  for (const name of ["upper", "work", "target"]) await Deno.mkdir(`${directory}/${name}`);
  const layers = `lowerdir=/usr/sbin,upperdir=${directory}/upper,workdir=${directory}/work`;
  await runOk(peer, ["mount", "-t", "overlay", "overlay", "-o", layers, "/usr/sbin"]);
  await Deno.writeTextFile(peer.outside(HELPER), SCRIPT, { mode: 0o755 });
  await Deno.writeTextFile(peer.outside(`${HELPER}.hold-${hold}`), "");
  await Deno.writeTextFile(peer.outside("/usr/sbin/mkfs"), MKFS, { mode: 0o755 });
  await peer.serve("ours");
  return peer;
}

async function mounted(peer: StoragePeer): Promise<boolean> {
  return (await runOk(peer, ["cat", "/proc/self/mounts"])).includes(
    `localhost:/export ${peer.directory}/target tmpfs `,
  );
}

/** Begins to create the pool, and waits until its mount stands still. @returns what comes of it */
async function beginCreating(peer: StoragePeer, hold: "before" | "after", ...more: string[]) {
  const target = ["--source-format", "nfs", "--target", `${peer.directory}/target`];
  const creating = peer.run(["virsh", "-q", "-c", "storage:///system", ...POOL, ...target, ...more]);
  await until(`the mount to stand still ${hold} it`, () => existsSync(peer.outside(`${HELPER}.${hold}`)));
  return { creating };
}

/** Kills the daemon, and waits until nothing is left that it had started. */
async function killDaemon(peer: StoragePeer): Promise<void> {
  Deno.kill(await pidIn(peer.outside("/run/virtstoraged.pid")), "SIGKILL");
  const own = await runOk(peer, ["readlink", "/proc/self/ns/mnt"]);
  await until("its processes to end", async () => {
    const left = await runOk(peer, [
      "sh",
      "-c",
      'for p in /proc/[0-9]*; do [ "$(readlink $p/ns/mnt 2>/dev/null)" = "$1" ] || continue; ' +
      'tr "\\0" " " <$p/cmdline 2>/dev/null; echo; done; true',
      "sh",
      own.trim(),
    ]);
    return !/internal-work|mount\.nfs|mkfs|sleep 1000/.test(left);
  });
}

Deno.test("a pool that was mounted when its daemon was killed in its start is the next daemon's", async () => {
  await using peer = await hostWith("after");
  const { creating } = await beginCreating(peer, "after");
  await killDaemon(peer);
  assert.notEqual((await creating).code, 0);
  assert.equal(await mounted(peer), true);
  await peer.serve("ours");
  assert.equal((await peer.virsh("pool-list", "--name", "--transient")).trim(), "t");
  await peer.virsh("vol-create-as", "t", "a.img", "1M");
  await peer.virsh("pool-destroy", "t");
  assert.equal(await mounted(peer), false);
  assert.equal((await peer.virsh("pool-list", "--name", "--all")).trim(), "");
});

Deno.test("a pool that was not mounted yet when its daemon was killed in its start is nobody's", async () => {
  await using peer = await hostWith("before");
  const { creating } = await beginCreating(peer, "before");
  await killDaemon(peer);
  assert.notEqual((await creating).code, 0);
  await peer.serve("ours");
  await until(
    "the pool to be gone",
    async () => (await peer.virsh("pool-list", "--name", "--all")).trim() === "",
  );
  assert.equal(await mounted(peer), false);
  assert.deepEqual(
    [...Deno.readDirSync(peer.outside("/run/libvirt/storage"))].map(({ name }) => name).sort(),
    ["autostarted", "driver.pid"],
  );
});

Deno.test("a start that is cancelled behind its mount is undone", async () => {
  await using peer = await hostWith("after");
  const { creating } = await beginCreating(peer, "after", "--build");
  const jobs = await runOk(peer, [OUR_STORAGE_DAEMON, "jobs"]);
  const id = /^(\d+) +build +t /m.exec(jobs)?.[1];
  assert.ok(id !== undefined, jobs);
  await runOk(peer, [OUR_STORAGE_DAEMON, "jobs", "--cancel", id]);
  assert.match((await creating).stderr, new RegExp(`operation aborted: job ${id} was cancelled`));
  assert.equal(await mounted(peer), false);
  assert.equal((await peer.virsh("pool-list", "--name", "--all")).trim(), "");
});

Deno.test("a daemon that is killed while it makes a file system takes mkfs along, and the pool is inactive", async () => {
  await using peer = await hostWith("after");
  const device = `${peer.directory}/device`;
  await Deno.writeTextFile(device, "empty");
  const target = ["--source-format", "ext4", "--target", `${peer.directory}/target`];
  await peer.virsh("pool-define-as", "f", "fs", "--source-dev", device, ...target);
  const building = peer.run(["virsh", "-q", "-c", "storage:///system", "pool-build", "f", "--overwrite"]);
  await until("mkfs to have begun", () => existsSync(peer.outside("/usr/sbin/mkfs.begun")));
  await killDaemon(peer);
  assert.notEqual((await building).code, 0);
  await peer.serve("ours");
  assert.match(await peer.virsh("pool-info", "f"), /^State: +inactive$/m);
  assert.equal(await runOk(peer, [OUR_STORAGE_DAEMON, "jobs"]), "No job is under way\n");
  assert.equal(await Deno.readTextFile(device), "half\n");
});
