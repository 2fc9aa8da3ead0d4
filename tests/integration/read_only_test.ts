import assert from "node:assert/strict";
import { ACQUIRE_SHARED } from "../../src/lockd/wire/lock_protocol.ts";
import { Daemon } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { lockedInodes } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { reExec } from "../support/re_exec.ts";
import { assertRefused } from "../support/refusal.ts";
import { until } from "../support/until.ts";

// A program that runs cannot be opened for writing by anybody, root included (ETXTBSY): a read-only file for
// every user.

const OTHER = testOwner(5_000_002, "other");

/** A file that can only be read, as long as this lives. */
class ReadOnlyFile implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;

  private constructor(readonly path: string, process: Deno.ChildProcess) {
    this.#process = process;
  }

  static start(path: string): ReadOnlyFile {
    Deno.copyFileSync("/bin/sleep", path);
    return new ReadOnlyFile(path, new Deno.Command(path, { args: ["600"] }).spawn());
  }

  get locks(): number {
    const inode = Deno.statSync(this.path).ino;
    return lockedInodes().filter((locked) => locked === inode).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
  }
}

Deno.test("a shared lock on a file that cannot be written is granted, kept over a re-exec, and released", async () => {
  await using daemon = await Daemon.start({ args: ["-v"] });
  await using image = ReadOnlyFile.start(`${daemon.place.directory}/image`);
  await using one = await LockClient.connect(daemon.socket);
  await using other = await LockClient.connect(daemon.socket);
  await one.register(testOwner(5_000_001, "one"));
  await other.register(OTHER);
  await assertRefused(
    one.acquire("", image.path),
    `38/51 Unable to open resource ${image.path}: Text file busy`,
  );
  await one.acquire("", image.path, ACQUIRE_SHARED);
  await other.acquire("", image.path, ACQUIRE_SHARED);
  await reExec(daemon);
  assert.equal(image.locks, 1);
  await assertRefused(one.acquire("", image.path), /^87\/51 .*'one'.*'other'/);
  await one.release("", image.path);
  assert.equal(image.locks, 1);
  await other.release("", image.path);
  assert.equal(image.locks, 0);
});

Deno.test("a shared lock on a file that cannot be written is taken again after a crash without a store", async () => {
  using place = Place.create();
  await using image = ReadOnlyFile.start(`${place.directory}/image`);
  const daemon = await Daemon.start({ place });
  await using holder = await Holder.start(daemon);
  await holder.acquire("", image.path, ACQUIRE_SHARED);
  await daemon.kill();
  await until("the lock to end with the daemon", () => image.locks === 0);
  await using next = await Daemon.start({ place });
  assert.equal(image.locks, 1);
  await using client = await LockClient.connect(next.socket);
  await client.register(OTHER);
  await client.acquire("", image.path, ACQUIRE_SHARED);
  assert.equal(image.locks, 1);
});
