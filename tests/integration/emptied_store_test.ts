import assert from "node:assert/strict";
import { ACQUIRE_AUTOCREATE } from "../../src/lockd/wire/lock_protocol.ts";
import { Holder } from "../support/holder.ts";
import { kernel, lockOn } from "../support/kernel.ts";
import { LockClient } from "../support/lock_client.ts";
import { ServiceManager } from "../support/service_manager.ts";
import { until } from "../support/until.ts";

// The service manager drops what it keeps while the daemon runs, and tells nobody.

const HELD = { mode: "exclusive", pid: -1 } as const;
const DROPPED = /systemd has dropped what it kept for the daemon/;
const AGAIN = /systemd keeps (\d+) descriptors of the daemon again/;
const NOTHING =
  /systemd keeps nothing for the daemon: it drops what it is sent|it does not take what it is sent/;

/** A daemon with a guest that holds the lock `h`, and a client. */
class Site implements AsyncDisposable {
  readonly manager: ServiceManager;
  readonly leases: string;
  readonly holder: Holder;

  private constructor(manager: ServiceManager, leases: string, holder: Holder) {
    this.manager = manager;
    this.leases = leases;
    this.holder = holder;
  }

  static async start(limit = 1000): Promise<Site> {
    const manager = await ServiceManager.start({ limit });
    const leases = manager.place.makeDirectory("leases");
    await using client = await LockClient.connect(manager.socket);
    await client.createLockspace(leases);
    const holder = await Holder.start(manager);
    await holder.acquire(leases, "h", ACQUIRE_AUTOCREATE);
    return new Site(manager, leases, holder);
  }

  /** Waits for a line of the log. */
  async said(pattern: RegExp): Promise<void> {
    await until(String(pattern), () => pattern.test(this.manager.log));
  }

  held(name = "h"): void {
    assert.deepEqual(lockOn(`${this.leases}/${name}`), HELD);
  }

  async store(): Promise<{ kept: boolean; stored: number; refused: number; drops: number; reason?: string }> {
    const { stdout } = await this.manager.command("status", "--json");
    return JSON.parse(stdout).sections.store;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.manager[Symbol.asyncDispose]();
    await this.holder[Symbol.asyncDispose]();
  }
}

Deno.test("what was dropped is stored anew, and the daemon may be killed", async () => {
  await using site = await Site.start();
  const { manager } = site;
  for (let times = 1; times <= 3; times++) {
    await manager.empty();
    await until(`the ${times}. filling`, () => manager.log.match(new RegExp(AGAIN, "g"))?.length === times);
    await manager.crash();
    site.held();
    assert.ok(site.holder.running);
  }
  assert.match(manager.log, /a crash or a restart would free 1 lock of the guest 'guest-\d+'/);
  assert.doesNotMatch(manager.log, /no longer had|taken again/);
  // Its connection came along: it still speaks for its guest.
  await site.holder.acquire(site.leases, "more", ACQUIRE_AUTOCREATE);
  site.held("more");
});

Deno.test("what was dropped in part is stored anew, from either end", async () => {
  await using site = await Site.start();
  const { manager } = site;
  for (const [index, name] of ["tripwire-0", "tripwire-1"].entries()) {
    await until("the newest tripwire", async () => (await manager.stored()).includes("tripwire-1"));
    await manager.drop(name);
    await until("the filling", () => manager.log.match(new RegExp(AGAIN, "g"))?.length === index + 1);
  }
  await manager.crash();
  site.held();
});

Deno.test("a store that takes nothing any more is an alarm, and is filled when it does again", async () => {
  await using site = await Site.start();
  const { manager } = site;
  await manager.limit(0);
  await manager.empty();
  await site.said(DROPPED);
  await site.said(NOTHING);
  const { kept, stored, drops, reason } = await site.store();
  assert.deepEqual({ kept, stored, drops }, { kept: false, stored: 0, drops: 1 });
  assert.match(reason ?? "", /does not take what it is sent/);
  // Locks are granted meanwhile.
  await site.holder.acquire(site.leases, "more", ACQUIRE_AUTOCREATE);

  await manager.limit(1000);
  await site.said(AGAIN);
  assert.equal((await site.store()).kept, true);
  await manager.crash();
  site.held();
  site.held("more");
  assert.doesNotMatch(manager.log, /no longer had|taken again/);
});

Deno.test("a daemon that is killed while its store takes nothing loses no lock that nobody else wants", async () => {
  await using site = await Site.start();
  const { manager, holder } = site;
  await manager.limit(0);
  await manager.empty();
  await site.said(NOTHING);
  await manager.crash();
  site.held();
  assert.match(manager.log, new RegExp(`no longer had .*: 1 lock of 'guest-${holder.pid}'`));
  await manager.limit(1000);
  await site.said(AGAIN);
  await manager.crash();
  site.held();
});

Deno.test("an orderly restart does not promise what is not kept", async () => {
  await using site = await Site.start();
  const { manager, holder } = site;
  await manager.limit(0);
  await manager.empty();
  await site.said(NOTHING);
  await manager.restart();
  site.held();
  assert.match(
    manager.log,
    new RegExp(
      `Stopping with 1 lock held of the guest 'guest-${holder.pid}', of which systemd keeps no copies`,
    ),
  );
  assert.doesNotMatch(manager.log, /systemd keeps them/);
});

Deno.test("a reload in the middle of it goes on with it", async () => {
  await using site = await Site.start();
  const { manager } = site;
  await manager.limit(0);
  await manager.empty();
  await site.said(NOTHING);
  await manager.reExec();
  assert.equal((await site.store()).kept, false);
  await manager.limit(1000);
  await site.said(AGAIN);
  await manager.reExec();
  assert.equal((await site.store()).kept, true);
  await manager.crash();
  site.held();
  // A tripwire that was handed over tells too.
  await manager.reExec();
  const before = manager.log.match(new RegExp(AGAIN, "g"))?.length ?? 0;
  await manager.empty();
  await until("another filling", () => (manager.log.match(new RegExp(AGAIN, "g"))?.length ?? 0) > before);
  await manager.crash();
  site.held();
});

Deno.test("a store that was emptied while the daemon executes itself anew is filled by the next image", async () => {
  await using site = await Site.start();
  const { manager } = site;
  for (let round = 0; round < 5; round++) {
    const image = manager.reExec();
    await manager.empty();
    await image;
  }
  await until("everything", async () => {
    const { kept, refused } = await site.store();
    return kept && refused === 0 && (await manager.stored()).includes("journal");
  });
  await manager.crash();
  site.held();
  assert.doesNotMatch(manager.log, /no longer had|taken again/);
});

Deno.test("200 locks: a kill in the very moment when the store is emptied loses none that nobody else wants", async () => {
  await using site = await Site.start();
  const { manager, holder, leases } = site;
  const names = Array.from({ length: 200 }, (_, index) => `r${index}`);
  for (const name of names) await holder.acquire(leases, name, ACQUIRE_AUTOCREATE);
  for (let round = 0; round < 6; round++) {
    const next = manager.readies + 1;
    await manager.emptyAndKill();
    await manager.ready(next);
    for (const name of names) site.held(name);
  }
  assert.ok(holder.running);
  await holder.kill();
  await until("the locks to go", () => kernel.access(`${leases}/r199`, 0) < 0);
});
