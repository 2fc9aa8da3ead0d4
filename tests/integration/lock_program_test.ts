import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { F_RDLCK, F_WRLCK, O_CLOEXEC, O_RDWR } from "../../src/os/constants.ts";
import { ACQUIRE_AUTOCREATE, ACQUIRE_SHARED, type OwnerArgs } from "../../src/lockd/wire/lock_protocol.ts";
import { Daemon } from "../support/daemon.ts";
import { isFree, kernel, lockedInodes, lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Puppet } from "../support/puppet.ts";
import { assertRefused } from "../support/refusal.ts";

// Above the kernel's greatest pid: such an owner is nobody's process.
const ALPHA = testOwner(5_000_001, "alpha");
const BETA = testOwner(5_000_002, "beta");
const UNREGISTERED = "55/7 Requested operation is not valid: lock owner details have not been registered";
const OFD = { pid: -1 } as const;
const EXCLUSIVE = { mode: "exclusive", ...OFD } as const;
const SHARED = { mode: "shared", ...OFD } as const;

/** A daemon with two registered clients, a lockspace directory and a disk. */
class Host implements AsyncDisposable {
  private constructor(
    readonly daemon: Daemon,
    readonly alpha: LockClient,
    readonly beta: LockClient,
    /** A lockspace that both know. */
    readonly directory: string,
    /** A file in the default lockspace. */
    readonly disk: string,
  ) {}

  static async start(): Promise<Host> {
    const daemon = await Daemon.start();
    const directory = `${daemon.place.directory}/leases`;
    const disk = `${daemon.place.directory}/disk`;
    Deno.writeTextFileSync(disk, "data");
    const alpha = await registered(daemon, ALPHA);
    const beta = await registered(daemon, BETA);
    await alpha.createLockspace(directory);
    return new Host(daemon, alpha, beta, directory, disk);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.alpha.close();
    await this.beta.close();
    await this.daemon[Symbol.asyncDispose]();
  }
}

async function registered(daemon: Daemon, owner: OwnerArgs): Promise<LockClient> {
  const client = await LockClient.connect(daemon.socket);
  await client.register(owner);
  return client;
}

function mode(path: string): number {
  return (Deno.statSync(path).mode ?? 0) & 0o7777;
}

Deno.test("an unregistered client may only make lockspaces", async () => {
  await using daemon = await Daemon.start();
  await using client = await LockClient.connect(daemon.socket);
  const path = `${daemon.place.directory}/a/b/c`;
  await client.createLockspace(path);
  await client.createLockspace(path);
  await client.createLockspace("");
  assert.equal(mode(path), 0o700);
  await assertRefused(client.restrict(), UNREGISTERED);
  await assertRefused(client.newLockspace(path), UNREGISTERED);
  await assertRefused(client.createResource("", "/x"), UNREGISTERED);
  await assertRefused(client.deleteResource("", "/x"), UNREGISTERED);
  await assertRefused(client.acquire("", "/x"), UNREGISTERED);
  await assertRefused(client.release("", "/x"), UNREGISTERED);
});

Deno.test("REGISTER refuses domain id 0 and keeps the owner it had", async () => {
  await using host = await Host.start();
  const { alpha, disk } = host;
  await assertRefused(alpha.register({ ...BETA, id: 0 }), UNREGISTERED);
  await alpha.acquire("", disk);
  await assertRefused(
    host.beta.release("", disk),
    "1/51 internal error: owner 5000002 does not hold the resource lock",
  );
  await alpha.register({ ...BETA, pid: 0, name: "", id: 0xffffffff });
  await assertRefused(
    alpha.release("", disk),
    "1/51 internal error: owner 0 does not hold the resource lock",
  );
  await alpha.register(ALPHA);
  await alpha.release("", disk);
});

Deno.test("flags that a procedure does not know are refused before anything else", async () => {
  await using daemon = await Daemon.start();
  await using client = await LockClient.connect(daemon.socket);
  const wanted = (bits: string, name: string) =>
    `8/7 unsupported flags (0x${bits}) in function virLockSpaceProtocolDispatch${name}`;
  await assertRefused(client.register(ALPHA, 0xffffffff), wanted("ffffffff", "Register"));
  await assertRefused(client.restrict(1), wanted("1", "Restrict"));
  await assertRefused(client.newLockspace("/x", 2), wanted("2", "New"));
  await assertRefused(client.createResource("", "/x", 4), wanted("4", "CreateResource"));
  await assertRefused(client.deleteResource("", "/x", 1), wanted("1", "DeleteResource"));
  await assertRefused(client.acquire("", "/x", 7), wanted("4", "AcquireResource"));
  await assertRefused(client.release("", "/x", 1), wanted("1", "ReleaseResource"));
});

Deno.test("a restricted client may do nothing any more", async () => {
  await using host = await Host.start();
  const { alpha, disk } = host;
  const denied = "29/7 operation forbidden: lock manager connection has been restricted";
  await alpha.restrict();
  await assertRefused(alpha.register(ALPHA), denied);
  await assertRefused(alpha.restrict(), denied);
  await assertRefused(alpha.newLockspace("/nowhere"), denied);
  await assertRefused(alpha.createResource("", disk), denied);
  await assertRefused(alpha.deleteResource("", disk), denied);
  await assertRefused(alpha.acquire("", disk), denied);
  await assertRefused(alpha.release("", disk), denied);
  await assertRefused(alpha.createLockspace("/nowhere"), denied);
  await assertRefused(alpha.acquire("", disk, 4), /^8\/7 unsupported flags/);
});

Deno.test("NEW makes a lockspace that does not exist yet", async () => {
  await using host = await Host.start();
  const { alpha, directory } = host;
  await assertRefused(
    alpha.newLockspace(""),
    "55/7 Requested operation is not valid: the default lockspace already exists",
  );
  await assertRefused(
    alpha.newLockspace(directory),
    `1/7 internal error: Lockspace for path ${directory} already exists`,
  );
  await alpha.newLockspace(`${directory}/`);
  await alpha.newLockspace(`${directory}2/deep`);
  assert.equal(mode(`${directory}2/deep`), 0o700);
});

Deno.test("a lockspace keeps the mode of a directory that exists", async () => {
  await using host = await Host.start();
  const path = host.daemon.place.makeDirectory("old");
  Deno.chmodSync(path, 0o755);
  await host.alpha.createLockspace(path);
  assert.equal(mode(path), 0o755);
});

Deno.test("a lockspace that cannot be made is refused and does not exist then", async () => {
  await using host = await Host.start();
  const { alpha, disk } = host;
  for (const make of [() => alpha.createLockspace(disk), () => alpha.newLockspace(disk)]) {
    await assertRefused(
      make(),
      `1/51 internal error: Lockspace location ${disk} exists, but is not a directory`,
    );
  }
  await assertRefused(
    alpha.createLockspace(`${disk}/under`),
    `38/51 Unable to create lockspace ${disk}/under: Not a directory`,
  );
  await assertRefused(
    alpha.createLockspace("/proc/nowhere"),
    "38/51 Unable to create lockspace /proc/nowhere: No such file or directory",
  );
  const long = `${host.directory}/${"x".repeat(300)}`;
  await assertRefused(
    alpha.createLockspace(long),
    `38/51 Unable to create lockspace ${long}: File name too long`,
  );
  await assertRefused(
    alpha.acquire(disk, "x"),
    /^1\/7 internal error: Lockspace for path .*\/disk does not exist, and its directory cannot be used: /,
  );
});

Deno.test("every procedure on a resource refuses an unknown lockspace", async () => {
  await using host = await Host.start();
  const { alpha } = host;
  const missing = "1/7 internal error: Lockspace for path /nowhere does not exist";
  await assertRefused(alpha.createResource("/nowhere", "x"), missing);
  await assertRefused(alpha.deleteResource("/nowhere", "x"), missing);
  await assertRefused(alpha.acquire("/nowhere", "x"), missing);
  await assertRefused(alpha.release("/nowhere", "x"), missing);
});

Deno.test("CREATE makes a file and DELETE unlinks it, and both may be repeated", async () => {
  await using host = await Host.start();
  const { alpha, directory } = host;
  await alpha.createResource(directory, "lease");
  assert.equal(mode(`${directory}/lease`), 0o600);
  assert.equal(Deno.statSync(`${directory}/lease`).size, 0);
  await alpha.createResource(directory, "lease");
  await alpha.deleteResource(directory, "lease");
  assert.ok(!existsSync(`${directory}/lease`));
  await alpha.deleteResource(directory, "lease");
  assert.ok(isFree(host.disk));
});

Deno.test("CREATE and DELETE refuse a locked resource", async () => {
  await using host = await Host.start();
  const { alpha, beta, directory } = host;
  await alpha.acquire(directory, "lease", ACQUIRE_AUTOCREATE);
  const busy = /^87\/51 resource busy: Lockspace resource 'lease' is locked by domain 'alpha'/;
  await assertRefused(beta.createResource(directory, "lease"), busy);
  await assertRefused(alpha.deleteResource(directory, "lease"), busy);
  assert.deepEqual(lockOn(`${directory}/lease`), EXCLUSIVE);
});

Deno.test("files that cannot be opened or unlinked are refused with the kernel's reason", async () => {
  await using host = await Host.start();
  const { alpha, directory, disk } = host;
  const below = host.daemon.place.makeDirectory("leases/below");
  const absent = `${host.daemon.place.directory}/absent`;
  await assertRefused(
    alpha.createResource("", `${absent}/x`),
    `38/0 cannot create file '${absent}/x': No such file or directory`,
  );
  await assertRefused(alpha.createResource("", below), `38/0 cannot create file '${below}': Is a directory`);
  await assertRefused(
    alpha.deleteResource(directory, "below"),
    `38/51 Unable to delete lockspace resource ${below}: Is a directory`,
  );
  await assertRefused(
    alpha.acquire("", absent),
    `38/51 Unable to open resource ${absent}: No such file or directory`,
  );
  await assertRefused(
    alpha.acquire(directory, "below", ACQUIRE_AUTOCREATE),
    `38/51 Unable to open/create resource ${below}: Is a directory`,
  );
  await assertRefused(
    alpha.acquire("", `${disk}/x`),
    `38/51 Unable to open resource ${disk}/x: Not a directory`,
  );
  await assertRefused(
    alpha.acquire("", host.daemon.socket),
    `38/51 Unable to open resource ${host.daemon.socket}: No such device or address`,
  );
  const long = `/${"x".repeat(5000)}`;
  await assertRefused(alpha.acquire("", long), `38/51 Unable to open resource ${long}: File name too long`);
});

Deno.test("an empty name is refused by whatever the kernel says of the path", async () => {
  await using host = await Host.start();
  const { alpha, directory } = host;
  await assertRefused(alpha.createResource("", ""), "38/0 cannot create file '': No such file or directory");
  await assertRefused(
    alpha.createResource(directory, ""),
    `38/0 cannot create file '${directory}/': Is a directory`,
  );
  await alpha.deleteResource("", "");
  await assertRefused(alpha.acquire("", ""), "38/51 Unable to open resource : No such file or directory");
  await assertRefused(
    alpha.release("", ""),
    "87/51 resource busy: Lockspace resource '' is not locked",
  );
});

Deno.test("ACQUIRE takes the kernel's lock and RELEASE gives it up", async () => {
  await using host = await Host.start();
  const { alpha, disk } = host;
  const inode = Deno.statSync(disk).ino ?? assert.fail();
  await alpha.acquire("", disk);
  assert.deepEqual(lockOn(disk), EXCLUSIVE);
  assert.ok(lockedInodes().includes(inode));
  await assertRefused(alpha.acquire("", disk), /^87\/51 resource busy: Lockspace resource '.*' is locked by/);
  await alpha.release("", disk);
  assert.ok(isFree(disk));
  assert.ok(!lockedInodes().includes(inode));
  await assertRefused(
    alpha.release("", disk),
    `87/51 resource busy: Lockspace resource '${disk}' is not locked`,
  );
  assert.equal(Deno.readTextFileSync(disk), "data");
});

Deno.test("a refused ACQUIRE tells domain, uuid, pid and time of the holder", async () => {
  await using host = await Host.start();
  const { alpha, beta, disk } = host;
  await alpha.acquire("", disk);
  await assertRefused(
    beta.acquire("", disk),
    new RegExp(
      `^87/51 resource busy: Lockspace resource '${disk}' is locked by ` +
        `domain 'alpha' \\(uuid ${ALPHA.uuid}, pid 5000001\\) since \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$`,
    ),
  );
  await host.daemon.log.match(
    /warning : .*Refused domain 'beta' \(uuid [-0-9a-f]+, pid 5000002\): .* locked by domain 'alpha'/,
  );
});

Deno.test("a shared lock is held until its last owner has released it as often as taken", async () => {
  await using host = await Host.start();
  const { alpha, beta, disk } = host;
  await alpha.acquire("", disk, ACQUIRE_SHARED);
  await alpha.acquire("", disk, ACQUIRE_SHARED);
  await beta.acquire("", disk, ACQUIRE_SHARED);
  assert.deepEqual(lockOn(disk), SHARED);
  await assertRefused(beta.acquire("", disk), /^87\/51 .* is locked by domain 'alpha' .*, domain 'beta' /);
  await beta.release("", disk);
  await assertRefused(
    beta.release("", disk),
    "1/51 internal error: owner 5000002 does not hold the resource lock",
  );
  await alpha.release("", disk);
  assert.deepEqual(lockOn(disk), SHARED);
  await alpha.release("", disk);
  assert.ok(isFree(disk));
});

Deno.test("a shared lock is refused where an exclusive one is held", async () => {
  await using host = await Host.start();
  const { alpha, beta, disk } = host;
  await alpha.acquire("", disk);
  await assertRefused(beta.acquire("", disk, ACQUIRE_SHARED), /^87\/51 /);
  assert.deepEqual(lockOn(disk), EXCLUSIVE);
});

Deno.test("an autocreated file is made 0600 and unlinked with its last owner", async () => {
  await using host = await Host.start();
  const { alpha, beta, directory } = host;
  const file = `${directory}/lease`;
  await alpha.acquire(directory, "lease", ACQUIRE_AUTOCREATE);
  assert.equal(mode(file), 0o600);
  await alpha.release(directory, "lease");
  assert.ok(!existsSync(file));
  const both = ACQUIRE_AUTOCREATE | ACQUIRE_SHARED;
  await alpha.acquire(directory, "lease", both);
  await beta.acquire(directory, "lease", ACQUIRE_SHARED);
  await alpha.release(directory, "lease");
  assert.deepEqual(lockOn(file), SHARED);
  await beta.release(directory, "lease");
  assert.ok(!existsSync(file));
  Deno.writeTextFileSync(file, "");
  await alpha.acquire(directory, "lease");
  await alpha.release(directory, "lease");
  assert.ok(existsSync(file));
});

Deno.test("a shared autocreated file stays while another process has it too", async () => {
  await using host = await Host.start();
  const { alpha, directory } = host;
  const file = `${directory}/lease`;
  await alpha.acquire(directory, "lease", ACQUIRE_AUTOCREATE | ACQUIRE_SHARED);
  const fd = kernel.open(file, O_RDWR | O_CLOEXEC, 0);
  assert.equal(kernel.ofdLock(fd, F_RDLCK, 0, 1), 0);
  await alpha.release(directory, "lease");
  assert.ok(existsSync(file));
  kernel.close(fd);
  assert.ok(isFree(file));
});

Deno.test("ACQUIRE is refused while another process has the lock", async () => {
  await using host = await Host.start();
  const { alpha, disk } = host;
  await using stranger = Puppet.start(host.daemon.place);
  const fd = await stranger.call("open", disk, O_RDWR, 0);
  await stranger.call("posixLock", fd, F_WRLCK, 0, 1);
  await assertRefused(
    alpha.acquire("", disk),
    /^87\/51 resource busy: Lockspace resource '.*disk' is locked by /,
  );
  assert.equal(lockOn(disk).pid, stranger.pid);
  await stranger.call("close", fd);
  await alpha.acquire("", disk);
});

for (const [name, link] of [["symbolic", Deno.symlinkSync], ["hard", Deno.linkSync]] as const) {
  Deno.test(`two names of a file conflict through a ${name} link, and releasing one keeps the other`, async () => {
    await using host = await Host.start();
    const { alpha, beta, disk } = host;
    const alias = `${host.daemon.place.directory}/alias`;
    link(disk, alias);
    await alpha.acquire("", disk);
    await assertRefused(
      beta.acquire("", alias),
      new RegExp(`^87/51 .*resource '${alias}' is locked as '${disk}' by domain 'alpha'`),
    );
    await assertRefused(alpha.acquire("", alias), /^87\/51 /);
    assert.deepEqual(lockOn(disk), EXCLUSIVE);
    await alpha.release("", disk);
    await alpha.acquire("", disk, ACQUIRE_SHARED);
    await beta.acquire("", alias, ACQUIRE_SHARED);
    await beta.release("", alias);
    assert.deepEqual(lockOn(disk), SHARED);
    await alpha.release("", disk);
    assert.ok(isFree(disk));
  });
}

Deno.test("names that leave a lockspace directory are refused", async () => {
  await using host = await Host.start();
  const { alpha, directory } = host;
  const outside = `${host.daemon.place.directory}/x`;
  for (const name of ["../x", "a/../../x", "..", "a/..", outside]) {
    const wanted = new RegExp(`^8/51 invalid argument: Name '${name}' cannot be used: it `);
    await assertRefused(alpha.createResource(directory, name), wanted);
    await assertRefused(alpha.deleteResource(directory, name), wanted);
    await assertRefused(alpha.acquire(directory, name, ACQUIRE_AUTOCREATE), wanted);
  }
  assert.ok(!existsSync(outside));
  for (const name of ["..x", "x..", ".x"]) await alpha.acquire(directory, name, ACQUIRE_AUTOCREATE);
});

Deno.test("names with a NUL byte are refused everywhere", async () => {
  await using host = await Host.start();
  const { alpha, directory } = host;
  await assertRefused(
    alpha.acquire(directory, "a\0b", ACQUIRE_AUTOCREATE),
    "8/51 invalid argument: Name 'a\0b' cannot be used: it contains a NUL byte",
  );
  await assertRefused(alpha.createLockspace(`${directory}/a\0b`), /^8\/51 .*NUL byte$/);
  assert.deepEqual([...Deno.readDirSync(directory)], []);
});

Deno.test("a symbolic link in a lockspace directory is not followed", async () => {
  await using host = await Host.start();
  const { alpha, beta, directory, disk } = host;
  Deno.symlinkSync(disk, `${directory}/planted`);
  Deno.symlinkSync(`${host.daemon.place.directory}/made`, `${directory}/dangling`);
  await assertRefused(
    alpha.createResource(directory, "planted"),
    `38/0 cannot create file '${directory}/planted': Too many levels of symbolic links`,
  );
  await assertRefused(
    alpha.acquire(directory, "dangling", ACQUIRE_AUTOCREATE),
    `38/51 Unable to open/create resource ${directory}/dangling: Too many levels of symbolic links`,
  );
  assert.ok(!existsSync(`${host.daemon.place.directory}/made`));
  await assertRefused(alpha.acquire(directory, "planted"), /^(38|87)\/51 /);
  assert.ok(isFree(disk));
  await alpha.acquire("", disk);
  await assertRefused(
    beta.acquire(directory, "planted"),
    /^87\/51 .* is locked as '.*disk' by domain 'alpha'/,
  );
});

Deno.test("names that are not UTF-8 and names of the greatest length work", async () => {
  await using host = await Host.start();
  const { alpha, directory } = host;
  // U+DCFF stands for the byte FF.
  await alpha.acquire(directory, "a\udcffb", ACQUIRE_AUTOCREATE);
  await alpha.release(directory, "a\udcffb");
  const name = "x".repeat(255);
  await alpha.acquire(directory, name, ACQUIRE_AUTOCREATE);
  assert.deepEqual(lockOn(`${directory}/${name}`), EXCLUSIVE);
});

Deno.test("locks stay when the connection that took them for another process ends", async () => {
  await using host = await Host.start();
  const { alpha, daemon, disk } = host;
  await alpha.acquire("", disk);
  await alpha.close();
  await using again = await registered(daemon, ALPHA);
  assert.deepEqual(lockOn(disk), EXCLUSIVE);
  await again.release("", disk);
  assert.ok(isFree(disk));
});

Deno.test("devices and pipes can be locked without stopping the daemon", async () => {
  await using host = await Host.start();
  const { alpha } = host;
  await alpha.acquire("", "/dev/null", ACQUIRE_SHARED);
  await alpha.release("", "/dev/null");
  const fifo = `${host.daemon.place.directory}/fifo`;
  const made = await new Deno.Command("mkfifo", { args: [fifo] }).output();
  assert.ok(made.success);
  await alpha.acquire("", fifo);
  await alpha.release("", fifo);
});
