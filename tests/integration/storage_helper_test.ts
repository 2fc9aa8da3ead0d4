import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { F_WRLCK, O_RDWR } from "../../src/os/constants.ts";
import type { ForeignHolder } from "../../src/lockd/lockspace/refusal.ts";
import { linuxSys } from "../../src/os/linux.ts";
import { processFile } from "../support/process_usage.ts";
import { ListedMounts } from "../support/storage_fixture.ts";
import { said, startStorageExec } from "../support/storage_exec.ts";
import { StorageHost } from "../support/storage_host.ts";
import { until } from "../support/until.ts";

// Helper processes are real here; the storage is a local directory that the list of mounts calls a network
// filesystem. It hangs as long as its helper is stopped.

/** Two "network" filesystems and a local directory, with a host that uses them. */
class Lab implements Disposable {
  readonly directory = Deno.makeTempDirSync({ prefix: "storage-test-" });
  readonly a = `${this.directory}/a`;
  readonly b = `${this.directory}/b`;
  readonly local = `${this.directory}/local`;
  readonly mounts = "27 1 9:9 / / rw - ext4 /dev/vda rw\n" +
    `40 27 0:9998 / ${this.a} rw - nfs4 alpha:/export rw\n` +
    `41 27 0:9999 / ${this.b} rw - nfs4 beta:/export rw\n`;
  readonly host: StorageHost;

  constructor() {
    for (const path of [this.a, this.b, this.local]) Deno.mkdirSync(path);
    this.host = new StorageHost(new ListedMounts(this.mounts).sys);
  }

  /** Whether somebody outside the host's process may not lock a file. */
  isLocked(path: string): boolean {
    const sys = linuxSys();
    const fd = sys.open(path, O_RDWR, 0);
    const result = sys.ofdLock(fd, F_WRLCK, 0, 1);
    sys.close(fd);
    return result !== 0;
  }

  /** Stops the helper of a mount, so that it hangs. @returns its pid */
  hang(point: string): number {
    const pid = this.host.helper(point);
    Deno.kill(pid, "SIGSTOP");
    return pid;
  }

  [Symbol.dispose](): void {
    for (const { helper } of this.host.storage.status) if (helper !== undefined) Deno.kill(helper, "SIGCONT");
    this.host[Symbol.dispose]();
    Deno.removeSync(this.directory, { recursive: true });
  }
}

Deno.test("a lock on network storage is taken by its helper, held by the daemon, and says who has it", () => {
  using lab = new Lab();
  const path = `${lab.a}/x`;
  const lock = lab.host.granted(path, {
    record: () => "domain 'guest' (uuid u, pid 7) since 2026-11-21T00:00:00Z",
  });
  assert.equal(
    Deno.readTextFileSync(path),
    `virtlockd-owner: ${Deno.hostname()}, domain 'guest' (uuid u, pid 7) since 2026-11-21T00:00:00Z\n`,
  );
  Deno.kill(lab.host.helper(lab.a), "SIGKILL");
  lab.host.turning.until(() => lab.host.observer.lines.length > 0 || undefined);
  assert.equal(lab.isLocked(path), true);
  assert.equal(lab.host.release(path, lock), undefined);
  assert.equal(existsSync(path), false);
});

Deno.test("a helper process is named virtlockd-io and has the daemon's signals blocked", () => {
  using lab = new Lab();
  lab.host.granted(`${lab.a}/x`);
  const status = Deno.readTextFileSync(`/proc/${lab.host.helper(lab.a)}/status`);
  assert.match(status, /^Name:\tvirtlockd-io$/m);
  const blocked = parseInt(/^SigBlk:\t(\w+)$/m.exec(status)?.[1] ?? "", 16);
  // HUP 1, INT 2, QUIT 3, USR1 10, PIPE 13, TERM 15.
  assert.equal(blocked & 0b101_0010_0000_0111, 0b101_0010_0000_0111);
});

Deno.test("a lock that comes after its asker has gone is undone", () => {
  using lab = new Lab();
  const path = `${lab.a}/x`;
  lab.host.release(`${lab.a}/first`, lab.host.granted(`${lab.a}/first`));
  const pid = lab.hang(lab.a);
  lab.host.limit = 50;
  assert.deepEqual(lab.host.lock(path), {
    kind: "storage",
    action: `Unable to acquire lock on resource ${path}`,
    reason: `storage at ${lab.a} did not answer within 0.05 s`,
  });
  Deno.kill(pid, "SIGCONT");
  lab.host.turning.until(() => lab.host.observer.lines.length === 3 || undefined);
  assert.deepEqual(lab.host.observer.lines, [
    `hung: storage at ${lab.a}: Unable to acquire lock on resource ${path}`,
    `recovered: storage at ${lab.a}`,
    `late: storage at ${lab.a}: The lock on resource ${path} was released again, because nobody waited for it any more`,
  ]);
  assert.equal(existsSync(path), false);
});

Deno.test("while one storage hangs, local files and other storage are served", () => {
  using lab = new Lab();
  const held = lab.host.granted(`${lab.a}/held`);
  lab.hang(lab.a);
  const waiting = lab.host.beginRelease(`${lab.a}/held`, held);
  let outcome: string | undefined;
  const request = { path: `${lab.local}/x`, shared: false, autocreate: true, followLinks: false };
  lab.host.storage.files.lock(request, ({ kind }) => outcome = kind);
  // At once: the event loop has not turned.
  assert.equal(outcome, "granted");
  assert.equal(lab.host.lock(`${lab.b}/x`).kind, "granted");
  assert.deepEqual(waiting, []);
});

Deno.test("a release on storage that hangs is told slow, and done when the storage answers", () => {
  using lab = new Lab();
  const path = `${lab.a}/x`;
  const lock = lab.host.granted(path);
  const pid = lab.hang(lab.a);
  lab.host.limit = 50;
  const list = lab.host.beginRelease(path, lock);
  lab.host.turning.until(() => list.length > 0 || undefined);
  assert.equal(list[0]?.what, "slow");
  assert.equal(lab.isLocked(path), true);
  Deno.kill(pid, "SIGCONT");
  lab.host.turning.until(() => list.length > 1 || undefined);
  assert.deepEqual(list[1], { what: "done", failure: undefined });
  assert.equal(existsSync(path), false);
});

Deno.test("a release is done by another helper when the first is killed in it", () => {
  using lab = new Lab();
  const path = `${lab.a}/x`;
  const lock = lab.host.granted(path);
  const pid = lab.hang(lab.a);
  const list = lab.host.beginRelease(path, lock);
  Deno.kill(pid, "SIGKILL");
  lab.host.turning.until(() => list.length > 0 || undefined);
  assert.deepEqual(list, [{ what: "done", failure: undefined }]);
  assert.notEqual(lab.host.helper(lab.a), pid);
  assert.equal(existsSync(path), false);
});

Deno.test("a refusal on network storage finds the process of this host that has the lock", () => {
  using lab = new Lab();
  const path = `${lab.a}/x`;
  lab.host.granted(path);
  const outcome = lab.host.lock(path);
  if (outcome.kind !== "busy") throw new Error(`Lock ${path}: ${outcome.kind}`);
  const { findHolder } = lab.host.storage;
  const holder = lab.host.turning.ask<ForeignHolder>((done) =>
    findHolder(path, outcome.identity, outcome.pid, done)
  );
  assert.equal(holder.kind === "process" && holder.pid, Deno.pid);
});

Deno.test("helpers are nobody's children, and end when the daemon lets them go", async () => {
  let helper: number;
  {
    // What another test has left is none of this one's.
    const before = new Set(helpersOf(Deno.pid));
    using lab = new Lab();
    lab.host.granted(`${lab.a}/x`);
    helper = lab.host.helper(lab.a);
    // The first process of all has ended, and was waited for.
    lab.host.turning.until(() => helpersOf(Deno.pid).every((child) => before.has(child)) || undefined);
  }
  await until("the end of the helper", () => !isThere(helper));
});

Deno.test("a daemon execs while its helper hangs, and the helper undoes what nobody waits for", async () => {
  using lab = new Lab();
  await using host = startStorageExec(lab.a, lab.b, lab.mounts);
  const helper = Number(await said(host, "helper"));
  Deno.kill(helper, "SIGSTOP");
  try {
    await host.send("\n");
    assert.equal(await said(host, "late"), "storage");
    assert.equal(Number(await said(host, "image")), host.pid);
    assert.equal(await said(host, "other"), "granted");
  } finally {
    Deno.kill(helper, "SIGCONT");
  }
  await until("the end of the helper", () => !isThere(helper));
  assert.equal(existsSync(`${lab.a}/late`), false);
  assert.equal(lab.isLocked(`${lab.a}/held`), true);
  assert.deepEqual(helpersOf(host.pid), []);
});

function isThere(pid: number): boolean {
  return linuxSys().access(`/proc/${pid}`, 0) === 0;
}

/** Helper processes whose parent is `pid`. */
function helpersOf(pid: number): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((child) => {
    if (!Number.isInteger(child)) return false;
    const stat = processFile(child, "stat") ?? "";
    const [name, fields] = [stat.slice(0, stat.lastIndexOf(")")), stat.slice(stat.lastIndexOf(")") + 2)];
    return name.endsWith("(virtlockd-io") && Number(fields.split(" ")[1]) === pid;
  });
}
