import assert from "node:assert/strict";
import type { LockEntry } from "../../src/lockd/status/status_document.ts";
import { Daemon } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { isFree } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";

const AUTOCREATE = 2;
const SHARED = 1;
/** No process has it: the kernel's largest is 4,194,304. */
const NO_PROCESS = 5_000_001;

/** A client of libvirt's that asks for somebody else. */
async function asking(daemon: Daemon, pid: number): Promise<LockClient> {
  const client = await LockClient.connect(daemon.socket);
  await client.register(testOwner(pid));
  return client;
}

async function states(daemon: Daemon): Promise<(string | undefined)[]> {
  const locks: LockEntry[] = JSON.parse((await daemon.command("locks", "--json")).stdout);
  return locks.flatMap(({ holders }) => holders.map(({ process }) => process));
}

Deno.test("release frees a lock of which nobody can tell whether its owner lives", async () => {
  await using daemon = await Daemon.start();
  await using client = await asking(daemon, NO_PROCESS);
  const disk = `${daemon.place.directory}/disk`;
  await client.acquire("", disk, AUTOCREATE);
  assert.deepEqual(await states(daemon), ["unjudged"]);
  assert.match(
    (await daemon.command("locks")).stdout,
    / held \(whether its owner lives cannot be told\)\n$/,
  );

  // Nobody can be asked here.
  const unasked = await daemon.command("release", disk);
  assert.deepEqual([unasked.code, unasked.stderr], [
    1,
    'virtlockd: error: Without a terminal to ask at, "--yes" is needed\n',
  ]);
  assert.match((await daemon.command("locks", "--path", disk)).stdout, /^LOCKSPACE .*\n.+\n$/);

  const { name, uuid, pid } = testOwner(NO_PROCESS);
  const owner = `domain '${name}' (uuid ${uuid}, pid ${pid})`;
  const { code, stdout, stderr } = await daemon.command("release", disk, "--yes");
  assert.deepEqual({ code, stdout, stderr }, {
    code: 0,
    stdout: `Released ${disk} of ${owner}, whose process could not be judged. It is free.\n`,
    stderr: "",
  });
  const line = `An administrator had resource '${disk}' released, which ${owner} held: nothing tells whether`;
  const by = `\\(ordered by process \\d+ of user \\d+\\)`;
  await daemon.log.match(new RegExp(`warning : .*${line.replace(/[()]/g, "\\$&")}.* ${by}`));
  assert.equal((await daemon.command("locks")).stdout, "No locks.\n");
  assert.equal(isFree(disk), true);
  const again = await daemon.command("release", disk, "--yes");
  assert.deepEqual([again.code, again.stderr], [
    1,
    `virtlockd: error: There is no lock on ${disk}; virtlockd locks lists them\n`,
  ]);
});

Deno.test("release refuses while the owner lives, unless by force and by name", async () => {
  await using daemon = await Daemon.start();
  await using holder = await Holder.start(daemon);
  const disk = `${daemon.place.directory}/disk`;
  await holder.acquire("", disk, AUTOCREATE);
  assert.deepEqual(await states(daemon), [undefined]);
  const { name, uuid, pid } = holder.owner;
  const owner = `domain '${name}' (uuid ${uuid}, pid ${pid})`;
  const refused = async (...args: string[]) => {
    const { code, stdout, stderr } = await daemon.command("release", disk, "--yes", ...args);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.equal(isFree(disk), false);
    return stderr;
  };
  assert.equal(
    await refused(),
    `virtlockd: error: ${owner} holds ${disk} and lives: end the guest, and its lock goes by itself; ` +
      `--force --guest ${name} frees it now\n`,
  );
  assert.equal(
    await refused("--force", "--guest", "somebody"),
    `virtlockd: error: ${disk} is held by ${owner}, not by the guest that --guest names, 'somebody'\n`,
  );
  const forced = await daemon.command("release", disk, "--yes", "--json", "--force", "--guest", name);
  assert.equal(forced.code, 0, forced.stderr);
  assert.deepEqual(JSON.parse(forced.stdout), {
    lockspace: "",
    resource: disk,
    owner: { domain: name, uuid, pid },
    ownerProcess: "alive",
    stillShared: false,
  });
  assert.equal(holder.running, true);
  // The guest's own file is no longer there: it was made for the lock, and goes with it.
  assert.equal((await daemon.command("locks")).stdout, "No locks.\n");
});

Deno.test("release says on one line whose lock it is, and how to name it in a shell, whatever the guest's name", async () => {
  await using daemon = await Daemon.start();
  const disk = `${daemon.place.directory}/disk`;
  Deno.writeTextFileSync(disk, "");
  await using holder = await Holder.start(daemon);
  await using libvirtd = await LockClient.connect(daemon.socket);
  await libvirtd.register({ ...holder.owner, name: "it's\n\u001b[31m" });
  await libvirtd.acquire("", disk);
  const { stderr } = await daemon.command("release", disk, "--yes");
  assert.match(stderr, /^virtlockd: error: domain 'it's\\n\\x1b\[31m' .*[^\n]*\n$/);
  assert.ok(stderr.endsWith("--force --guest $'it\\'s\\012\\033[31m' frees it now\n"), stderr);
});

Deno.test("release takes one of those off who share a lock", async () => {
  await using daemon = await Daemon.start();
  const lockspace = `${daemon.place.directory}/locks`;
  await using first = await asking(daemon, NO_PROCESS);
  await using second = await asking(daemon, NO_PROCESS + 1);
  await first.createLockspace(lockspace);
  for (const client of [first, second]) await client.acquire(lockspace, "disk", AUTOCREATE | SHARED);
  const several = await daemon.command("release", `${lockspace}/disk`, "--yes");
  assert.equal(several.code, 1);
  assert.match(several.stderr, /is held by several, choose one by its uuid: domain 'guest-5000001' /);
  const { uuid } = testOwner(NO_PROCESS);
  const { code, stdout } = await daemon.command("release", "disk", "--yes", "--uuid", uuid);
  assert.equal(code, 0);
  assert.match(stdout, /Others still share it\.\n$/);
  const locks: LockEntry[] = JSON.parse((await daemon.command("locks", "--json")).stdout);
  assert.deepEqual(locks.flatMap(({ holders }) => holders.map(({ pid }) => pid)), [NO_PROCESS + 1]);
});

Deno.test("what was released stays released when the daemon is killed", async () => {
  await using daemon = await Daemon.start();
  await using client = await asking(daemon, NO_PROCESS);
  const [freed, kept] = ["freed", "kept"].map((name) => `${daemon.place.directory}/${name}`) as [
    string,
    string,
  ];
  for (const disk of [freed, kept]) await client.acquire("", disk, AUTOCREATE);
  assert.equal((await daemon.command("release", freed, "--yes")).code, 0);
  await daemon.kill();
  await using next = await Daemon.start({ place: daemon.place });
  const locks: LockEntry[] = JSON.parse((await next.command("locks", "--json")).stdout);
  assert.deepEqual(locks.map(({ path }) => path), [kept]);
});
