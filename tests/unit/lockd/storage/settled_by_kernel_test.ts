import assert from "node:assert/strict";
import { F_UNLCK, S_IFBLK } from "../../../../src/os/constants.ts";
import { Settler, type Verdict } from "../../../../src/lockd/lockspace/settler.ts";
import { judgeGuards } from "../../../../src/lockd/storage/last_writes.ts";
import type { StorageClient } from "../../../../src/lockd/storage/storage_client.ts";
import { StorageWitness } from "../../../../src/lockd/storage/witness.ts";
import { PlayedTime } from "../../../support/played_time.ts";
import { sysWith } from "../../../support/storage_fixture.ts";
import { holding, resource } from "../programs/lock_fixture.ts";

// From the kernel's list of locks to a lock that goes, of a guest that died while no daemon watched and had a
// node of its own for its device: the daemon knows neither what it wrote, nor by which name.

const GUARD = "1: OFDLCK ADVISORY  READ -1 00:3b:9 100 101\n";
const SETTLE_MS = 1000;

/** A host whose kernel still writes for a guest that is gone. */
class Host {
  readonly time = new PlayedTime();
  readonly told: string[] = [];
  /** The guest's last write has landed. */
  landed = false;
  /** How long it takes to look at one process, in ms. */
  slow = 0;
  /** What becomes of the helper process that looks. */
  helper: "well" | "ends" = "well";
  looks = 0;
  #now = 0;

  constructor() {
    const open = new Map<number, string>();
    const sys = sysWith({
      monotonic: () => this.#clock(),
      open: (path) => {
        const descriptor = path.startsWith("/proc/60/fdinfo/");
        if (descriptor) this.#now += this.slow;
        const text = descriptor ? "pos:\t0\nflags:\t02\n" : path === "/proc/locks" ? this.#locks : undefined;
        if (text === undefined) return -2;
        open.set(100 + open.size, text);
        return 99 + open.size;
      },
      read: (fd, into) => new TextEncoder().encodeInto(open.get(fd) ?? "", into).written,
      pread: (fd, into, position) =>
        new TextEncoder().encodeInto((open.get(fd) ?? "").slice(position), into).written,
      close: () => 0,
      listDirectory: (path) =>
        path === "/proc" ? ["60"] : path === "/proc/60/fdinfo" ? ["3", "4", "5", "6"] : -2,
      readlink: (path) => path === "/proc/self/ns/pid" ? "pid:[4026531836]" : -2,
      fstat: (_fd, into) => {
        into.mode = S_IFBLK;
        return 0;
      },
      // The daemon's own node of the device has no lock of the guest's.
      ofdProbe: (_fd, _type, _start, _length, into) => {
        into.type = F_UNLCK;
        return 0;
      },
    });
    const judge: StorageClient["judge"] = (task, fd, done, lost) => {
      this.looks++;
      if (this.helper === "ends") return lost?.("it has ended");
      assert.ok(task.op === "judge-guards");
      const verdict: Verdict = judgeGuards(sys, task.question, fd);
      done(verdict);
    };
    const settler = new Settler({
      witness: new StorageWitness({
        sys,
        clientOf: () => undefined,
        clientAt: () => undefined,
        sync: () => assert.fail("it is a device of this host alone"),
        local: { judge } as Partial<StorageClient> as StorageClient,
        clock: () => this.#clock(),
        sightOf: () => undefined,
        guests: () => [],
      }),
      observer: {
        settling: ({ verdict }) => void this.told.push(verdict?.kind ?? ""),
        gaveUp: () => void this.told.push("gave up"),
      },
      after: (milliseconds, task) => this.time.after(milliseconds, task),
      clock: () => this.#clock(),
      bound: () => SETTLE_MS,
      hasNotRun: () => false,
      trustsNetworkDisks: () => false,
    });
    const disk = resource({ id: 1, lockspace: "", name: "/dev/loop7" });
    settler.settle(disk, holding(42), () => void this.told.push("free"));
  }

  get #locks(): string {
    return this.landed ? "" : GUARD;
  }

  /** Time passes with timers, and with looks. */
  #clock(): number {
    this.#now = Math.max(this.#now, this.time.now);
    return this.#now;
  }

  /** Until so much time has passed, or the lock has gone. */
  until(end: number): void {
    while (!this.told.includes("free") && this.time.now < end) {
      this.time.advance();
      this.time.now = this.#clock();
    }
  }
}

Deno.test("a lock stays while the kernel writes, whatever one look of a busy host could not see in time", () => {
  const host = new Host();
  // The first look is made at once, and sees it; then the host stands nearly still for one.
  assert.equal(host.looks, 1);
  host.slow = 4000;
  host.time.advance();
  host.slow = 0;
  assert.equal(host.looks, 2);
  host.until(30_000);
  assert.equal(host.told.includes("free"), false);
  host.landed = true;
  host.until(60_000);
  assert.deepEqual(host.told.slice(-2), ["gave up", "free"]);
});

Deno.test("a lock stays while the kernel writes, when the helper that looks has ended, and is started again later", () => {
  const host = new Host();
  host.helper = "ends";
  host.time.advance();
  host.until(4900);
  assert.deepEqual([host.looks, host.told.includes("free")], [2, false]);
  host.helper = "well";
  host.until(30_000);
  assert.equal(host.told.includes("free"), false);
  assert.ok(host.looks > 50);
});

Deno.test("a lock goes after settle_timeout when helpers end again and again", () => {
  const host = new Host();
  host.helper = "ends";
  host.until(60_000);
  assert.deepEqual(host.told.slice(-2), ["gave up", "free"]);
  assert.equal(host.looks, 3);
});
