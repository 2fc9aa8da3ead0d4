// What `main.ts storage` looks at, inside of the machine: the storage daemon with virsh on exports of this
// machine's own nfsd. Ends with an error at the first thing that is not as it should be.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { until } from "../support/until.ts";
import { command, run, step } from "../virtual_machine/steps.ts";

/** Open to root, and with root_squash. */
const EXPORT = "/srv/export";
const SQUASHED = "/srv/squashed";
const PROGRAM = "/tree/virtstoraged";
const TARGET = "/mnt/pool";
const LOG = "/var/log/libvirt/virtstoraged.log";
const MINUTE = 60_000;
/** Everything takes long without KVM: seconds for an answer of storage that is well. */
const STORAGE_TIMEOUT = 25;

const virsh = (...args: string[]) => run("virsh", "-q", "-c", "storage:///system", ...args);

/** Runs virsh, which has to fail. @returns what it said */
async function refused(...args: string[]): Promise<string> {
  const { code, err } = await command("virsh", "-q", "-c", "storage:///system", ...args);
  assert.notEqual(code, 0, `virsh ${args.join(" ")} did not fail`);
  return err;
}

/** The line of a mount; undefined: nothing is mounted there. */
function mounted(path: string): string | undefined {
  return Deno.readTextFileSync("/proc/self/mounts").split("\n").find((line) => line.split(" ")[1] === path);
}

/** Names of files on the server, sorted. */
function served(directory = EXPORT): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
}

async function volumes(): Promise<string[]> {
  return (await virsh("vol-list", "nfs")).split("\n").map((line) => line.trim().split(/\s+/)[0] ?? "")
    .filter((name) => name !== "").sort();
}

async function pidOfDaemon(): Promise<number> {
  return Number(await Deno.readTextFile("/run/virtstoraged.pid"));
}

async function start(): Promise<void> {
  await run(PROGRAM, "-d", "-v");
}

Deno.mkdirSync("/etc/libvirt", { recursive: true });
Deno.writeTextFileSync("/etc/libvirt/virtstoraged.conf", `storage_timeout = ${STORAGE_TIMEOUT}\n`);
await start();

await step(LOG, "the server's exports are found", async () => {
  const found = await virsh("find-storage-pool-sources-as", "netfs", "localhost");
  assert.match(found, /<host name='localhost'\/>/);
  assert.match(found, /<dir path='\/srv\/export'\/>/);
});

await step(LOG, "a pool is defined, built, started and mounted", async () => {
  const source = ["--source-host", "localhost", "--source-format", "nfs"];
  await virsh("pool-define-as", "nfs", "netfs", ...source, "--source-path", EXPORT, "--target", TARGET);
  await virsh("pool-build", "nfs");
  await virsh("pool-start", "nfs");
  assert.match(mounted(TARGET) ?? "", /^localhost:\/srv\/export \/mnt\/pool nfs4 \S*nosuid,nodev,noexec/);
  assert.match(await virsh("pool-info", "nfs"), /^State: +running$/m);
});

await step(LOG, "volumes are made, filled, read, copied, resized, wiped and deleted there", async () => {
  await virsh("vol-create-as", "nfs", "a.img", "1M");
  await virsh("vol-create-as", "nfs", "b.qcow2", "8M", "--format", "qcow2");
  await virsh("vol-create-as", "nfs", "over.qcow2", "8M", "--format", "qcow2", "--backing-vol", "b.qcow2");
  Deno.writeFileSync("/tmp/data", new Uint8Array(1 << 20).map((_, index) => index * 7));
  await virsh("vol-upload", "a.img", "/tmp/data", "nfs");
  await virsh("vol-download", "a.img", "/tmp/again", "nfs");
  await run("cmp", "/tmp/data", "/tmp/again");
  await run("cmp", "/tmp/data", `${EXPORT}/a.img`);
  await virsh("vol-clone", "a.img", "copy.img", "nfs");
  await run("cmp", "/tmp/data", `${EXPORT}/copy.img`);
  await virsh("vol-clone", "b.qcow2", "copy.qcow2", "nfs");
  await virsh("vol-resize", "copy.img", "2M", "nfs");
  assert.equal(Deno.statSync(`${EXPORT}/copy.img`).size, 2 << 20);
  await virsh("vol-wipe", "a.img", "nfs");
  assert.equal(Deno.readFileSync(`${EXPORT}/a.img`).every((byte) => byte === 0), true);
  await virsh("vol-delete", "copy.qcow2", "nfs");
  // Nothing is left of the names that they had while they were made.
  assert.deepEqual(served(), ["a.img", "b.qcow2", "copy.img", "over.qcow2"]);
  assert.match(
    await refused("vol-create-as", "nfs", "a.img", "1M"),
    /storage volume 'a\.img' exists already/,
  );
});

await step(LOG, "a name that another host has given meanwhile is not overwritten", async () => {
  Deno.writeTextFileSync(`${EXPORT}/theirs.img`, "theirs");
  assert.match(await refused("vol-create-as", "nfs", "theirs.img", "1M"), /already exists/);
  assert.equal(Deno.readTextFileSync(`${EXPORT}/theirs.img`), "theirs");
});

await step(LOG, "a refresh finds what others have made and removed", async () => {
  Deno.removeSync(`${EXPORT}/copy.img`);
  await virsh("pool-refresh", "nfs");
  assert.deepEqual(await volumes(), ["a.img", "b.qcow2", "over.qcow2", "theirs.img"]);
});

await step(LOG, "the pool is up again after kill -9, with its mount", async () => {
  const before = mounted(TARGET);
  const pid = await pidOfDaemon();
  Deno.kill(pid, "SIGKILL");
  await until("its end", () => !existsSync(`/proc/${pid}`), MINUTE);
  await start();
  assert.deepEqual(await volumes(), ["a.img", "b.qcow2", "over.qcow2", "theirs.img"]);
  assert.equal(mounted(TARGET), before);
});

await step(LOG, "a second pool of the same source is refused", async () => {
  const source = ["--source-host", "localhost", "--source-path", EXPORT, "--source-format", "nfs"];
  const text = await refused("pool-define-as", "again", "netfs", ...source, "--target", "/mnt/again");
  assert.match(text, /Storage source conflict with pool: 'nfs'/);
});

await step(
  LOG,
  "with root_squash a volume is refused with the server's reason, and nothing is left",
  async () => {
    const source = ["--source-host", "localhost", "--source-path", SQUASHED, "--source-format", "nfs"];
    await virsh("pool-create-as", "squashed", "netfs", ...source, "--target", "/mnt/squashed", "--build");
    assert.match(await refused("vol-create-as", "squashed", "a.img", "1M"), /Permission denied/);
    assert.deepEqual(served(SQUASHED), []);
    await virsh("pool-destroy", "squashed");
    assert.equal(mounted("/mnt/squashed"), undefined);
  },
);

await step(LOG, "what is not exported does not start, and nothing stays mounted", async () => {
  const source = ["--source-host", "localhost", "--source-path", "/srv/nothing", "--source-format", "nfs"];
  await virsh("pool-define-as", "none", "netfs", ...source, "--target", "/mnt/none");
  await virsh("pool-build", "none");
  assert.match(await refused("pool-start", "none"), /mount\.nfs: |No such file or directory/);
  assert.equal(mounted("/mnt/none"), undefined);
  assert.match(await virsh("pool-info", "none"), /^State: +inactive$/m);
});

let wiping: Promise<string> | undefined;

await step(
  LOG,
  "a server that goes away stops its own pool only, and calls to it end with that reason",
  async () => {
    await virsh("pool-create-as", "local", "dir", "--target", "/tmp/local", "--build");
    // From now on nothing reaches the server.
    await run("ip", "link", "set", "lo", "down");
    const began = performance.now();
    const hung = refused("vol-info", "a.img", "nfs");
    const refresh = refused("pool-refresh", "nfs");
    await virsh("vol-create-as", "local", "c.img", "1M");
    await virsh("vol-delete", "c.img", "local");
    await virsh("pool-refresh", "local");
    await virsh("pool-list", "--all");
    console.log(`   others were served within ${((performance.now() - began) / 1000).toFixed(1)} s`);
    assert.match(
      await hung,
      /Timed out during operation: the storage of pool 'nfs' \(\/mnt\/pool\) does not answer: see to it/,
    );
    console.log(`   the question ended after ${((performance.now() - began) / 1000).toFixed(1)} s`);
    assert.match(
      await refresh,
      /Timed out during operation: the storage of pool 'nfs' \(\/mnt\/pool\) does not answer: see to it/,
    );
    console.log(`   the refresh ended after ${((performance.now() - began) / 1000).toFixed(1)} s`);
    assert.match(
      Deno.readTextFileSync(LOG),
      new RegExp(`refresh-pool at list of nfs gave no sign of life within ${STORAGE_TIMEOUT} s`),
    );
    const stopping = performance.now();
    assert.match(
      await refused("pool-destroy", "nfs"),
      /Timed out during operation: the storage of pool 'nfs' \(\/mnt\/pool\) does not answer: see to it/,
    );
    const took = (performance.now() - stopping) / 1000;
    console.log(`   stopping the pool ended after ${took.toFixed(1)} s`);
    assert.ok(took < 2 * STORAGE_TIMEOUT);
    // A job may stand still for ten times as long: the server is back before.
    wiping = virsh("vol-wipe", "a.img", "nfs");
    await until(
      "the job to be shown as hung",
      async () => / nfs\/a\.img +hung /.test(await run(PROGRAM, "jobs")),
      3 * MINUTE,
    );
    assert.match(await virsh("pool-info", "nfs"), /^State: +inaccessible$/m);
  },
);

await step(LOG, "when the server is back the pool is served as before", async () => {
  await run("ip", "link", "set", "lo", "up");
  await until("an answer", async () => {
    return (await command("virsh", "-q", "-c", "storage:///system", "pool-refresh", "nfs")).code === 0;
  }, 5 * MINUTE);
  await wiping;
  assert.deepEqual(await volumes(), ["a.img", "b.qcow2", "over.qcow2", "theirs.img"]);
  await virsh("vol-create-as", "nfs", "after.img", "1M");
});

await step(LOG, "stopping it unmounts it, and leaves the server's files", async () => {
  await virsh("pool-destroy", "nfs");
  assert.equal(mounted(TARGET), undefined);
  await virsh("pool-undefine", "nfs");
  assert.deepEqual(served(), ["a.img", "after.img", "b.qcow2", "over.qcow2", "theirs.img"]);
});

Deno.kill(await pidOfDaemon(), "SIGKILL");
