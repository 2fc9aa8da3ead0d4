import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { F_UNLCK, F_WRLCK, O_RDWR } from "../../src/os/constants.ts";
import { linuxSys } from "../../src/os/linux.ts";
import type { ForeignHolder } from "../../src/lockd/lockspace/refusal.ts";
import { said, startStorageExec } from "../support/storage_exec.ts";
import { MountTable } from "../../src/lockd/storage/mount_table.ts";
import { Turning } from "../support/storage_fixture.ts";
import { StorageHost } from "../support/storage_host.ts";
import { until } from "../support/until.ts";
import { HangingMount } from "./support/hanging_mount.ts";

// A real FUSE filesystem that hangs, and real helper processes. Needs root and /dev/fuse.

/** A time limit that a test waits for, in ms. */
const SHORT = 50;

/** Runs a test with a directory that is removed afterwards. */
function inDirectory(test: (directory: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const directory = Deno.makeTempDirSync({ prefix: "storage-e2e-" });
    try {
      await test(directory);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  };
}

for (const operation of ["getattr", "create", "fsync"]) {
  Deno.test(
    `a lock that hangs in ${operation} is given up in time, and undone when the filesystem answers`,
    inDirectory(async (directory) => {
      await using mount = await HangingMount.mount(directory, "a");
      using host = new StorageHost(linuxSys());
      host.release(`${mount.point}/first`, host.granted(`${mount.point}/first`));
      await mount.hang(operation);
      host.limit = SHORT;
      const record = () => "domain 'guest'";
      assert.deepEqual(host.lock(`${mount.point}/late`, { record }), {
        kind: "storage",
        action: `Unable to acquire lock on resource ${mount.point}/late`,
        reason: `storage at ${mount.point} did not answer within 0.05 s`,
      });
      await mount.untilHung(operation);
      assert.equal(host.storage.status.find(({ mount }) => mount !== undefined)?.state, "hung");
      await mount.goOn();
      host.turning.until(() => host.observer.lines.some((line) => line.startsWith("late: ")) || undefined);
      assert.equal(existsSync(`${mount.backing}/late`), false);
      host.limit = 20_000;
      assert.equal(host.lock(`${mount.point}/late`).kind, "granted");
    }),
  );
}

Deno.test(
  "while a filesystem hangs in everything, local files and another such filesystem are served",
  inDirectory(async (directory) => {
    await using a = await HangingMount.mount(directory, "a");
    await using b = await HangingMount.mount(directory, "b");
    using host = new StorageHost(linuxSys());
    // Closing its copy of this lock's descriptor would stop any child of this process.
    host.granted(`${a.point}/held`);
    await a.hang();
    host.limit = SHORT;
    assert.equal(host.lock(`${a.point}/late`).kind, "storage");
    let outcome: string | undefined;
    const request = { path: `${directory}/x`, shared: false, autocreate: true, followLinks: false };
    host.storage.files.lock(request, ({ kind }) => outcome = kind);
    assert.equal(outcome, "granted");
    host.limit = 20_000;
    assert.equal(host.lock(`${b.point}/x`).kind, "granted");
    await a.goOn();
  }),
);

for (const operation of ["unlink", "flush"]) {
  Deno.test(
    `a release that hangs in ${operation} is told slow, and the lock held until the filesystem answers`,
    inDirectory(async (directory) => {
      await using mount = await HangingMount.mount(directory, "a");
      using host = new StorageHost(linuxSys());
      const path = `${mount.point}/x`;
      const lock = host.granted(path);
      await mount.hang(operation);
      host.limit = SHORT;
      const list = host.beginRelease(path, lock);
      host.turning.until(() => list.length > 0 || undefined);
      assert.equal(list[0]?.what, "slow");
      await mount.untilHung(operation);
      await mount.goOn();
      host.turning.until(() => list.length > 1 || undefined);
      assert.deepEqual(list[1], { what: "done", failure: undefined });
      assert.equal(existsSync(`${mount.backing}/x`), false);
    }),
  );
}

Deno.test(
  "a filesystem that is mounted gets a helper, and the directory below it none when it is unmounted",
  inDirectory(async (directory) => {
    using host = new StorageHost(linuxSys());
    const { loop } = host.turning;
    const path = `${directory}/a/x`;
    {
      await using mount = await HangingMount.mount(directory, "a");
      loop.turn(20_000);
      assert.equal(host.lock(path).kind, "granted");
      assert.deepEqual(host.storage.status.map(({ mount }) => mount?.point), [undefined, mount.point]);
      assert.equal(existsSync(`${mount.backing}/x`), true);
    }
    // Made by the helper until the change is noticed, then at once.
    host.turning.until(() => {
      let made = false;
      host.storage.files.create(path, false, () => made = true);
      return made || undefined;
    });
    assert.equal(existsSync(path), true);
  }),
);

Deno.test(
  "a mount wakes the event loop once",
  inDirectory(async (directory) => {
    using turning = new Turning();
    const { sys, loop, ledger } = turning;
    const table = new MountTable({ sys, loop, ledger, unreadable: (error) => assert.fail(error) });
    await using mount = await HangingMount.mount(directory, "a");
    assert.equal(loop.turn(20_000), 1);
    assert.deepEqual(table.tree.mayHang.map(({ point }) => point).filter((point) => point === mount.point), [
      mount.point,
    ]);
    // As long as no other test mounts anything.
    let before: string;
    let woken: number;
    do {
      before = Deno.readTextFileSync("/proc/self/mountinfo");
      woken = loop.turn(0);
    } while (Deno.readTextFileSync("/proc/self/mountinfo") !== before);
    assert.equal(woken, 0);
    table.close();
  }),
);

Deno.test(
  "a refusal on a network filesystem reads who holds the lock from its file when nobody of this host does",
  inDirectory(async (directory) => {
    await using mount = await HangingMount.mount(directory, "a");
    using host = new StorageHost(linuxSys());
    const path = `${mount.point}/x`;
    const lock = host.granted(path, { record: () => "domain 'guest'" });
    const { findHolder } = host.storage;
    const find = () => host.turning.ask<ForeignHolder>((done) => findHolder(path, lock.identity, -1, done));
    const local = find();
    assert.equal(local.kind === "process" && local.pid, Deno.pid);
    // As if another host's lock had been seen on the server.
    linuxSys().ofdLock(lock.fd, F_UNLCK, 0, 1);
    assert.deepEqual(find(), { kind: "record", text: `${Deno.hostname()}, domain 'guest'` });
  }),
);

Deno.test(
  "a daemon execs while its storage hangs, keeps its locks there, and serves other storage",
  inDirectory(async (directory) => {
    await using a = await HangingMount.mount(directory, "a");
    await using b = await HangingMount.mount(directory, "b");
    await using host = startStorageExec(a.point, b.point);
    const helper = Number(await said(host, "helper"));
    await a.hang();
    await host.send("\n");
    assert.equal(await said(host, "late"), "storage");
    assert.equal(Number(await said(host, "image")), host.pid);
    assert.equal(await said(host, "other"), "granted");
    await a.goOn();
    await until("the end of the helper", () => !existsSync(`/proc/${helper}`));
    assert.equal(existsSync(`${a.backing}/late`), false);
    const fd = linuxSys().open(`${a.point}/held`, O_RDWR, 0);
    assert.notEqual(linuxSys().ofdLock(fd, F_WRLCK, 0, 1), 0);
    linuxSys().close(fd);
  }),
);
