// What main.ts looks at, inside of the machine: /mnt/nfs is an export with root_squash, of /srv/export. Ends
// with an error at the first thing that is not as it should be.
import assert from "node:assert/strict";
import { F_RDLCK, O_RDWR } from "../../src/os/constants.ts";
import { linuxSys } from "../../src/os/linux.ts";
import { must } from "../../src/os/system_error.ts";
import { WRITE_GUARD } from "../../src/lockd/lockspace/written_files.ts";
import { bridgeTraffic } from "../support/bridge_traffic.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { TestProcess } from "../support/test_process.ts";
import { until } from "../support/until.ts";
import { run, step } from "../virtual_machine/steps.ts";

const EXPORT = "/srv/export";
const NFS = "/mnt/nfs";
const SOCKET = "/run/libvirt/virtlockd-sock";
const PROGRAM = "/tree/virtlockd";
const LOG = "/var/log/libvirt/virtlockd.log";
const OWNER = 1000;
const OTHER = 1001;
const MINUTE = 60_000;
/** Of each process that asks for a lock on its way over the bridge. */
const TRIES = 1000;
/** Bytes of the write before the one that is looked at, and of that one. */
const FIRST = 4096;
const WRITE = 1 << 20;
const sys = linuxSys();

/** Asks the daemon, which may take longer than its commands wait: there is no KVM. */
async function ask<T>(...args: string[]): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return JSON.parse(await run(PROGRAM, ...args, "--json"));
    } catch (error) {
      if (tries === 10) throw error;
    }
  }
}

/** An image below the export. @returns its path on NFS */
function image(name: string, uid: number, mode = 0o600): string {
  Deno.writeFileSync(`${EXPORT}/${name}`, new Uint8Array(8 << 20));
  Deno.chmodSync(`${EXPORT}/${name}`, mode);
  Deno.chownSync(`${EXPORT}/${name}`, uid, uid);
  return `${NFS}/${name}`;
}

interface Shown {
  readonly resource: string;
  readonly state: string;
  readonly reason?: string;
}

async function shown(path: string): Promise<Shown | undefined> {
  const locks = await ask<Shown[]>("locks");
  return locks.find(({ resource }) => resource === path);
}

async function pidOfDaemon(): Promise<number> {
  return Number(await Deno.readTextFile("/run/virtlockd.pid"));
}

async function start(): Promise<void> {
  await run(PROGRAM, "-d", "-v");
}

async function gone(pid: number): Promise<void> {
  await until("the end of a process", () => {
    try {
      return / [ZX] /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
    } catch {
      return true;
    }
  });
}

async function client(owner: number, name: string): Promise<LockClient> {
  // Everything takes long without KVM.
  const connected = await LockClient.connect(SOCKET, 2 * MINUTE);
  await connected.register(testOwner(owner, name));
  return connected;
}

/** QEMU's own way to write, as the owner of an image, which it locks. */
function qemu(path: string): TestProcess {
  const ids = [`--reuid=${OWNER}`, `--regid=${OWNER}`, "--clear-groups"];
  const options =
    `driver=raw,file.driver=file,file.filename=${path},file.locking=on,file.aio=threads,cache.direct=on`;
  return new TestProcess(
    ["setpriv", ...ids, "qemu-io", "--image-opts", options],
    Deno.env.toObject(),
    "/",
    "piped",
  );
}

Deno.mkdirSync("/etc/libvirt", { recursive: true });
Deno.writeTextFileSync("/etc/libvirt/virtlockd.conf", "storage_timeout = 60\nsettle_timeout = 600\n");
const path = image("a.raw", OWNER);
await using sleeper = new TestProcess(["sleep", "infinity"], {}, "/");
await start();
await using guest = await client(sleeper.pid, "guest");
await using rival = await client(Deno.pid, "rival");

await step(LOG, "root may not open the image, the server takes it for nobody", async () => {
  assert.throws(() => Deno.openSync(path), Deno.errors.PermissionDenied);
  await Promise.resolve();
});

await step(LOG, "the daemon locks it all the same, and refuses it to others", async () => {
  await guest.acquire("", path);
  assert.equal((await shown(path))?.state, "held");
  await assert.rejects(rival.acquire("", path), /is locked by domain 'guest'/);
});

await step(LOG, "behind a directory of another user, who owns it", async () => {
  Deno.mkdirSync(`${EXPORT}/dir`);
  const inner = image("dir/b.raw", OWNER);
  Deno.chmodSync(`${EXPORT}/dir`, 0o711);
  Deno.chownSync(`${EXPORT}/dir`, OTHER, OTHER);
  await guest.acquire("", inner);
  await guest.release("", inner);
  Deno.chmodSync(`${EXPORT}/dir`, 0o700);
  Deno.chownSync(`${EXPORT}/dir`, OWNER, OWNER);
  await guest.acquire("", inner);
  await guest.release("", inner);
});

await step(LOG, "what is root's own there is closed to everybody, and the refusal says so", async () => {
  const roots = image("root.raw", 0);
  await assert.rejects(
    guest.acquire("", roots),
    /Unable to open resource \/mnt\/nfs\/root\.raw, which is root's, and is closed to root here: Permission denied/,
  );
});

await step(LOG, "the lock is kept over SIGUSR1", async () => {
  const pid = await pidOfDaemon();
  let tries = 0;
  await until("the re-exec", async () => {
    // The program may take longer to say who it is than the daemon waits: there is no KVM.
    if (tries++ % 20 === 0) Deno.kill(pid, "SIGUSR1");
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return (await ask<{ reExecs: number }>("status")).reExecs > 0;
  }, 5 * MINUTE);
  assert.equal((await shown(path))?.state, "held");
  await assert.rejects(rival.acquire("", path), /is locked by domain 'guest'/);
});

await step(LOG, "a daemon without a store takes it again after kill -9", async () => {
  const pid = await pidOfDaemon();
  Deno.kill(pid, "SIGKILL");
  await gone(pid);
  await start();
  await until("the lock to be taken again", async () => (await shown(path))?.state === "held", MINUTE);
  await using other = await client(Deno.pid, "rival");
  await assert.rejects(other.acquire("", path), /is locked by domain 'guest'/);
  await using again = await client(sleeper.pid, "guest");
  await again.release("", path);
  await other.acquire("", path);
  await other.release("", path);
});

/** A guest that has written once, and whose process the daemon has looked at. */
async function writer(name: string): Promise<{ process: TestProcess; connection: LockClient }> {
  const process = qemu(path);
  await process.send(`write -P 1 0 ${FIRST}\n`);
  await process.stdout.match(/wrote 4096/, MINUTE);
  const connection = await client(process.pid, name);
  await connection.acquire("", path);
  // A second after the grant it looks what the process writes; nothing shows that it has.
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  return { process, connection };
}

/** Whether the first bytes that a write of 0x5a changes are on the server. */
function landed(): boolean {
  return Deno.readFileSync(`${EXPORT}/a.raw`)[0] === 0x5a;
}

await step(LOG, "a guest that is killed with nothing under way gives its lock up at once", async () => {
  const { process, connection } = await writer("idle");
  await process.kill();
  await until("the lock to go", async () => await shown(path) === undefined, MINUTE);
  connection.close();
});

await step(
  LOG,
  "a guest that is killed with a write under way keeps its lock until that has landed",
  async () => {
    const { process, connection } = await writer("busy");
    // From now on nothing reaches the server.
    await run("ip", "link", "set", "lo", "down");
    await process.send(`aio_write -P 0x5a 0 ${WRITE}\n`);
    await until("the write to begin", () => {
      const bytes = /^write_bytes: (\d+)$/m.exec(Deno.readTextFileSync(`/proc/${process.pid}/io`))?.[1];
      return Number(bytes) >= FIRST + WRITE;
    }, MINUTE);
    Deno.kill(process.pid, "SIGKILL");
    // A process whose file is on a server that is away cannot end: nothing is to be seen of it for a while.
    await new Promise((resolve) => setTimeout(resolve, 20_000));
    const state = /^State:\t(.*)$/m.exec(Deno.readTextFileSync(`/proc/${process.pid}/status`))?.[1] ?? "gone";
    const lock = await shown(path);
    console.log(`   20 s after SIGKILL the process is ${state}, its lock ${lock?.state}`);
    assert.ok(lock?.state === "held" || lock?.state === "settling");
    assert.equal(landed(), false);
    await run("ip", "link", "set", "lo", "up");
    await until("the lock to go", async () => {
      // Looked at first: when the lock has gone the write is over.
      const before = landed();
      const lock = await shown(path);
      if (lock === undefined) assert.equal(landed(), true);
      return lock === undefined && (before || landed());
    }, 5 * MINUTE);
    connection.close();
  },
);

await step(
  LOG,
  "the lock stays as long as the server says that somebody else writes, and says so",
  async () => {
    const { process, connection } = await writer("another");
    // A mount that shares nothing with the first is another host as far as locks go.
    Deno.mkdirSync("/mnt/other");
    await run("mount", "-t", "nfs4", "-o", "nosharecache", "localhost:/", "/mnt/other");
    Deno.chmodSync(`${EXPORT}/a.raw`, 0o666);
    const fd = must(sys.open("/mnt/other/a.raw", O_RDWR, 0), "open", "/mnt/other/a.raw");
    must(sys.ofdLock(fd, F_RDLCK, WRITE_GUARD, 1), "F_OFD_SETLK", "/mnt/other/a.raw");
    await process.kill();
    await until("the lock to be kept for a reason", async () => {
      return (await shown(path))?.reason === "its storage says that somebody still writes it";
    }, MINUTE);
    sys.close(fd);
    await until("the lock to go", async () => await shown(path) === undefined, MINUTE);
    connection.close();
  },
);

await step(
  LOG,
  "nobody gets a lock that crosses the bridge, neither here nor on what is another host to NFS",
  async () => {
    const bridge = image("bridge", OTHER, 0o666);
    const { tries, grants, roundTrips } = await bridgeTraffic(bridge, TRIES, "/mnt/other/bridge");
    console.log(`${tries} tries, ${roundTrips} round trips, ${grants} grants`);
    assert.ok(tries >= 2 * TRIES);
    assert.equal(grants, 0);
  },
);

await run("sh", "-c", `kill -9 ${await pidOfDaemon()}`);
