import assert from "node:assert/strict";
import { ACQUIRE_AUTOCREATE, ACQUIRE_SHARED } from "../../src/lockd/wire/lock_protocol.ts";
import { F_RDLCK, O_RDONLY, O_RDWR } from "../../src/os/constants.ts";
import { must } from "../../src/os/system_error.ts";
import { Daemon } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { isFree, kernel, lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { reExec } from "../support/re_exec.ts";
import { assertRefused, outcome } from "../support/refusal.ts";
import { Unowned } from "../support/unowned.ts";
import { until } from "../support/until.ts";

// Holders that end while the kernel still writes for them. Such a write is played by a descriptor that no
// process has. tests/e2e/last_writes_test.ts has real ones.

const OTHER = testOwner(5_000_002, "other");
/** Nothing is given up, however slow this machine is. */
const PATIENT = "settle_timeout = 3600\nstorage_timeout = 3600\n";

/** A daemon with a holder of a disk. */
class Host implements AsyncDisposable {
  private constructor(
    readonly place: Place,
    readonly daemon: Daemon,
    readonly holder: Holder,
    readonly client: LockClient,
    readonly disk: string,
    readonly stack: AsyncDisposableStack,
  ) {}

  static async start(config = PATIENT, flags = 0): Promise<Host> {
    const stack = new AsyncDisposableStack();
    const place = stack.use(Place.create());
    place.writeConfig(config);
    const disk = `${place.directory}/disk`;
    Deno.writeTextFileSync(disk, "data");
    const daemon = stack.use(await Daemon.start({ place, args: ["-v"] }));
    const holder = stack.use(await Holder.start(daemon));
    await holder.acquire("", disk, flags);
    const client = stack.use(await LockClient.connect(daemon.socket));
    await client.register(OTHER);
    return new Host(place, daemon, holder, client, disk, stack);
  }

  /** Something that the kernel still writes to the disk, as QEMU or as another writer has it. */
  writing(how: "guarded" | "open"): Unowned {
    const fd = must(kernel.open(this.disk, O_RDWR, 0), "open", this.disk);
    if (how === "guarded") must(kernel.ofdLock(fd, F_RDLCK, 100, 2), "lock", this.disk);
    return Unowned.take(fd);
  }

  async state(): Promise<{ state: string; reason?: string }[]> {
    const { stdout } = await this.daemon.command("locks", "--json");
    return JSON.parse(stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.disposeAsync();
  }
}

for (const how of ["guarded", "open"] as const) {
  Deno.test(`the lock of a killed holder stays as long as its file is ${how} for a write, and who asks waits`, async () => {
    await using host = await Host.start();
    const { daemon, holder, client, disk } = host;
    let answered = false;
    let asked: Promise<unknown>;
    {
      using _writing = host.writing(how);
      await holder.kill();
      await daemon.log.match(
        new RegExp(`'${disk}' of domain '${holder.owner.name}' .* stays locked although`),
      );
      asked = outcome(client.acquire("", disk)).finally(() => answered = true);
      const [lock] = await host.state();
      assert.equal(lock?.state, "settling");
      assert.notEqual(lock?.reason, undefined);
      // libvirtd on behalf of the guest that is gone.
      await using late = await LockClient.connect(daemon.socket);
      await late.register(holder.owner);
      await assertRefused(
        late.release("", disk),
        /^87\/51 .* stays locked although its owner's process is gone, because /,
      );
      assert.equal(answered, false);
      assert.equal(lockOn(disk).mode, "exclusive");
    }
    assert.equal(await asked, "");
    const [lock] = await host.state();
    assert.equal(lock?.state, "held");
  });
}

Deno.test("who asks for a lock whose holder's writes do not end is refused after storage_timeout, and told why", async () => {
  await using host = await Host.start("storage_timeout = 1\nsettle_timeout = 3600\n");
  using _writing = host.writing("guarded");
  await host.holder.kill();
  await host.daemon.log.match(/stays locked although its process is gone/);
  await assertRefused(
    host.client.acquire("", host.disk),
    /is locked by domain 'guest-\d+' .*; its process is gone, but the lock stays because /,
  );
});

Deno.test("a lock is given up at the bound when only a reader has the file open, and the log names the guest", async () => {
  await using host = await Host.start("settle_timeout = 1\n");
  const reader = must(kernel.open(host.disk, O_RDONLY, 0), "open", host.disk);
  await host.holder.kill();
  await host.daemon.log.match(
    new RegExp(`Gave up resource '${host.disk}' of domain '${host.holder.owner.name}' .*without knowing`),
  );
  await until("the lock to go", () => isFree(host.disk));
  kernel.close(reader);
});

Deno.test("a living holder's release frees its lock at once, whatever is under way", async () => {
  await using host = await Host.start();
  const owner = await LockClient.connect(host.daemon.socket);
  await owner.register(host.holder.owner);
  using _writing = host.writing("guarded");
  await owner.release("", host.disk);
  assert.ok(isFree(host.disk));
  await owner.close();
});

Deno.test("a lock whose holder has nothing under way goes with it, and leaves no lease on the file", async () => {
  await using host = await Host.start();
  await host.holder.kill();
  // It waits for the lock to go. This process must not look: it would have the file open for writing.
  await host.client.acquire("", host.disk);
  assert.doesNotMatch(host.daemon.log.text, /stays locked|Gave up/);
});

Deno.test("a lock that stays for the last writes of a holder outlives a re-exec", async () => {
  await using host = await Host.start();
  {
    using _writing = host.writing("guarded");
    await host.holder.kill();
    await host.daemon.log.match(/stays locked although its process is gone/);
    await reExec(host.daemon);
    const [lock] = await host.state();
    assert.equal(lock?.state, "settling");
    assert.equal(lockOn(host.disk).mode, "exclusive");
  }
  await until("the lock to go", () => isFree(host.disk));
});

Deno.test("a holder that died while no daemon watched keeps its lock until its writes are over", async () => {
  await using host = await Host.start();
  {
    using _writing = host.writing("guarded");
    await host.daemon.kill();
    await host.holder.kill();
    await using next = await Daemon.start({ place: host.place });
    await next.log.match(/stays locked although its process is gone/);
    assert.equal(lockOn(host.disk).mode, "exclusive");
    _writing[Symbol.dispose]();
    await until("the lock to go", () => isFree(host.disk));
  }
});

Deno.test("two holders share a disk: one that is gone does not keep others from sharing it", async () => {
  await using host = await Host.start(PATIENT, ACQUIRE_SHARED);
  await using second = await Holder.start(host.daemon);
  await second.acquire("", host.disk, ACQUIRE_SHARED);
  using _writing = host.writing("guarded");
  await host.holder.kill();
  await host.daemon.log.match(/stays locked although its process is gone/);
  await host.client.acquire("", host.disk, ACQUIRE_SHARED);
  await host.client.release("", host.disk);
});

Deno.test("a lease is given up at the bound when nobody can tell what its holder wrote", async () => {
  await using host = await Host.start("settle_timeout = 1\n");
  const leases = host.place.makeDirectory("leases");
  await host.client.createLockspace(leases);
  await using holder = await Holder.start(host.daemon);
  await holder.open(host.disk);
  await holder.acquire(leases, "lease", ACQUIRE_AUTOCREATE);
  await holder.kill();
  await host.daemon.log.match(
    /Gave up resource 'lease' of domain .*: (it had \/.* open for writing|what it writes was not seen)/,
  );
  await until("the lease to go", () => isFree(`${leases}/lease`));
});
