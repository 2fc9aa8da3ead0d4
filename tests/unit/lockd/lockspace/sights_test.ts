import assert from "node:assert/strict";
import type { OwnerKey } from "../../../../src/lockd/lockspace/owner.ts";
import { Sights } from "../../../../src/lockd/lockspace/sights.ts";

const GUARDING = "flags:\t0100002\nlock:\t1: OFDLCK ADVISORY  READ -1 fe:00:7 100 101\n";
const GUARDED = { qemu: true, files: [{ path: "/images/a", guard: "fe:00:7" }] };
const BOTH = { qemu: true, files: [...GUARDED.files, { path: "/images/b", guard: "fe:00:7" }] };

/** Processes that are looked at, and a clock. */
class World {
  now = 0;
  /** Programs by pid; absent: the process is gone. */
  readonly programs = new Map<number, string>();
  /** Pids of those that have QEMU's own lock on their image. */
  readonly guarding = new Set<number>();
  /** Pids of those that have it on one more. */
  readonly attached = new Set<number>();
  /** How many disks owners have. */
  readonly disks = new Map<OwnerKey, number>();
  /** Whose process the kernel says to have ended. */
  readonly dead = new Set<OwnerKey>();
  readonly owners = new Set<OwnerKey>();
  readonly ended = new Set<OwnerKey>();
  /** Of a process that has lost its program, but has not been seen to end. */
  ending: OwnerKey | undefined;
  readonly looks: string[] = [];
  /** What /proc/PID/stat says; undefined: there is no such process. */
  stat: string | undefined;
  readonly #timers: { at: number; task: () => void }[] = [];
  readonly #deferred: (() => void)[] = [];
  readonly sights = new Sights({
    sys: {
      readlink: (path) => {
        const pid = Number(path.split("/")[2]);
        if (path.endsWith("/exe")) return this.programs.get(pid) ?? -2;
        return path.endsWith("/4") ? "/images/b" : "/images/a";
      },
      listDirectory: (path) => {
        if (path.endsWith("/task")) return ["1"];
        const pid = Number(path.split("/")[2]);
        this.looks.push(`${pid} at ${this.now}`);
        return [...this.guarding.has(pid) ? ["3"] : [], ...this.attached.has(pid) ? ["4"] : []];
      },
      open: (path) => path.endsWith("/stat") ? this.stat === undefined ? -2 : 51 : 50,
      read: (fd, into) => new TextEncoder().encodeInto(fd === 51 ? this.stat ?? "" : GUARDING, into).written,
      close: () => 0,
      lstat: () => -2,
    },
    loop: {
      after: (milliseconds, task) => {
        const timer = { at: this.now + milliseconds, task };
        this.#timers.push(timer);
        return {
          cancel: () => {
            const index = this.#timers.indexOf(timer);
            if (index >= 0) this.#timers.splice(index, 1);
          },
        };
      },
      defer: (task) => void this.#deferred.push(task),
    },
    clock: () => this.now,
    pidOf: (key) => this.programs.has(Number(key)) || key === this.ending ? Number(key) : undefined,
    lives: (key) => !this.dead.has(key),
    hasEnded: (key) => this.ended.has(key),
    owns: (key) => this.owners.has(key),
    disksOf: (key) => this.disks.get(key) ?? 0,
  });

  /** What was looked at so far. */
  looked(): readonly string[] {
    return this.looks;
  }

  grant(pid: number): void {
    this.disks.set(pid, (this.disks.get(pid) ?? 0) + 1);
    this.grantLease(pid);
  }

  grantLease(pid: number): void {
    this.owners.add(pid);
    this.sights.granted(pid);
  }

  turn(): void {
    for (const task of this.#deferred.splice(0)) task();
  }

  until(end: number): void {
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#timers.splice(this.#timers.indexOf(next), 1);
      this.now = next.at;
      next.task();
    }
    this.now = end;
  }
}

Deno.test("Sights looks at an owner behind the turn of its first grant, and a few times after its last one", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/qemu-kvm");
  world.guarding.add(7);
  world.grant(7);
  assert.deepEqual(world.looks, []);
  world.turn();
  assert.deepEqual(world.looks, ["7 at 0"]);
  assert.deepEqual(world.sights.of(7), GUARDED);
  world.until(500);
  world.grantLease(7);
  world.until(600_000);
  assert.deepEqual(world.looked(), ["7 at 0", "7 at 2000", "7 at 12000", "7 at 72000"]);
});

Deno.test("Sights looks on at a QEMU that has not activated its disks yet, until it has", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/qemu-kvm");
  world.grant(7);
  world.turn();
  assert.deepEqual(world.sights.of(7), { qemu: true, files: [] });
  world.until(70);
  world.guarding.add(7);
  world.until(100);
  // It may have been seen between two disks.
  assert.deepEqual(world.sights.of(7), { qemu: true, files: [] });
  world.until(200);
  assert.deepEqual(world.sights.of(7), GUARDED);
  world.until(999);
  assert.deepEqual(world.looked(), ["7 at 0", "7 at 50", "7 at 100", "7 at 200"]);
});

Deno.test("Sights looks on for less than a second at a QEMU that activates no disk, and not at what is forgotten", () => {
  const world = new World();
  for (const pid of [7, 8, 9]) {
    world.programs.set(pid, pid === 9 ? "/usr/bin/writer" : "/usr/bin/qemu-kvm");
    world.grant(pid);
  }
  world.turn();
  world.sights.forget(8);
  world.until(999);
  assert.deepEqual(
    world.looks.filter((look) => !look.endsWith(" at 0")),
    ["7 at 50", "7 at 100", "7 at 200", "7 at 400", "7 at 800"],
  );
});

Deno.test("Sights knows that what it has seen may not be all, until it has looked a while after the last grant", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/qemu-kvm");
  world.guarding.add(7);
  world.grant(7);
  world.turn();
  world.until(5000);
  // A disk is attached, which QEMU opens when libvirt has its lock.
  world.grant(7);
  assert.deepEqual(world.sights.of(7), { ...GUARDED, partial: true });
  world.attached.add(7);
  world.until(7000);
  assert.deepEqual(world.sights.of(7), BOTH);
  world.grant(7);
  world.programs.delete(7);
  world.until(9000);
  assert.deepEqual(world.sights.of(7), { ...BOTH, partial: true });
});

Deno.test("Sights waits on a busy host for the image that a QEMU opens after a hot-plug", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/qemu-kvm");
  world.guarding.add(7);
  world.grant(7);
  world.turn();
  world.until(5000);
  world.grant(7);
  world.until(8000);
  assert.deepEqual(world.looked(), ["7 at 0", "7 at 1000", "7 at 6000"]);
  assert.deepEqual(world.sights.of(7), { ...GUARDED, partial: true });
  world.attached.add(7);
  world.until(20_000);
  assert.deepEqual(world.sights.of(7), BOTH);
  // For a lease it opens nothing.
  world.grantLease(7);
  assert.deepEqual(world.sights.of(7), { ...BOTH, partial: true });
  world.until(21_000);
  assert.deepEqual(world.sights.of(7), BOTH);
});

Deno.test("Sights waits for an attached disk for as long as its storage hangs", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/qemu-kvm");
  world.guarding.add(7);
  world.grant(7);
  world.turn();
  world.until(5000);
  world.grant(7);
  world.until(900_000);
  assert.deepEqual(world.sights.of(7), { ...GUARDED, partial: true });
  assert.deepEqual(world.looked().slice(2, 6), ["7 at 6000", "7 at 16000", "7 at 76000", "7 at 136000"]);
  world.attached.add(7);
  world.until(960_000);
  assert.deepEqual(world.sights.of(7), BOTH);
  const looks = world.looks.length;
  world.until(9_000_000);
  assert.equal(world.looks.length, looks);
});

Deno.test("Sights takes the variables of a firmware for no disk that is attached", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/qemu-kvm");
  // The variables have QEMU's own lock too, and libvirt asks for none of them.
  world.guarding.add(7);
  world.attached.add(7);
  world.grant(7);
  world.turn();
  world.until(5000);
  world.grant(7);
  world.until(100_000);
  assert.deepEqual(world.sights.of(7), { ...BOTH, partial: true });
});

Deno.test("Sights has seen all of a guest that is paused and resumed at once", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/qemu-kvm");
  world.guarding.add(7);
  world.attached.add(7);
  world.grant(7);
  world.grant(7);
  world.turn();
  world.until(5000);
  world.disks.delete(7);
  world.grant(7);
  world.grant(7);
  world.until(6000);
  assert.deepEqual(world.sights.of(7), BOTH);
});

Deno.test("Sights waits for an attached disk of a guest whose disks were active late", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/qemu-kvm");
  world.grant(7);
  world.turn();
  world.until(5000);
  world.guarding.add(7);
  world.until(20_000);
  assert.deepEqual(world.sights.of(7), GUARDED);
  world.grant(7);
  world.until(200_000);
  assert.deepEqual(world.sights.of(7), { ...GUARDED, partial: true });
});

Deno.test("Sights waits for as many images as a QEMU gets by hot-plug at once", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/qemu-kvm");
  world.guarding.add(7);
  world.grant(7);
  world.turn();
  world.until(5000);
  world.grant(7);
  world.grant(7);
  world.attached.add(7);
  world.until(6000);
  assert.deepEqual(world.looked(), ["7 at 0", "7 at 1000", "7 at 6000"]);
  assert.deepEqual(world.sights.of(7), { ...BOTH, partial: true });
});

Deno.test("Sights knows that a process which is ended right after a grant may still open what it got", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/qemu-kvm");
  world.guarding.add(7);
  world.grant(7);
  world.turn();
  world.until(500);
  world.grant(7);
  world.sights.dying(7);
  assert.deepEqual(world.sights.of(7), { ...GUARDED, partial: true });
});

Deno.test("Sights takes no other process that has an owner's pid by now for the owner's", () => {
  const world = new World();
  for (const pid of [7, 8, 9]) {
    world.programs.set(pid, "/usr/bin/qemu-kvm");
    world.owners.add(pid);
  }
  world.guarding.add(7);
  world.grant(7);
  world.grant(8);
  world.turn();
  world.guarding.delete(7);
  for (const pid of [7, 8, 9]) {
    world.dead.add(pid);
    world.programs.set(pid, "/usr/bin/sleep");
  }
  world.until(1000);
  world.sights.dying(7);
  assert.deepEqual(world.sights.of(7), GUARDED);
  assert.deepEqual(world.sights.of(8), { qemu: true, files: [] });
  // It was there when it was looked at first, so it may have written.
  world.stat = "9 (sleep) Z 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0";
  world.sights.granted(9, "at once", true);
  assert.equal(world.sights.of(9), undefined);
});

Deno.test("Sights of an earlier life are all only when a while has passed, or when that life knew it", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/qemu-kvm");
  world.guarding.add(7);
  world.owners.add(5).add(6).add(7).add(8).add(9);
  world.programs.set(5, "/usr/bin/qemu-kvm");
  world.guarding.add(5);
  world.disks.set(5, 2);
  world.programs.set(6, "/usr/bin/qemu-kvm");
  world.guarding.add(6);
  world.sights.resume(6, 1000);
  world.sights.resume(7, 999);
  // It has one more, whose storage hangs.
  world.sights.resume(5, 3_600_000);
  world.sights.restore(8, 8, GUARDED);
  world.sights.restore(9, 9, { ...GUARDED, partial: true });
  world.until(20);
  assert.deepEqual(world.sights.of(5), { ...GUARDED, partial: true });
  // What it got a while before, it has opened by the first look.
  assert.deepEqual(world.sights.of(6), GUARDED);
  assert.deepEqual(world.sights.of(7), { ...GUARDED, partial: true });
  world.until(2100);
  assert.deepEqual(world.sights.of(5), { ...GUARDED, partial: true });
  assert.deepEqual(world.sights.of(7), GUARDED);
  assert.deepEqual(world.sights.of(8), GUARDED);
  assert.deepEqual(world.sights.of(9), { ...GUARDED, partial: true });
});

Deno.test("Sights has seen all of a QEMU that activates its disks late, though it was granted several", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/qemu-kvm");
  world.grant(7);
  world.turn();
  world.grant(7);
  world.guarding.add(7);
  world.until(150);
  // On a busy host it has been between the two for a while.
  assert.deepEqual(world.sights.of(7), { qemu: true, files: [], partial: true });
  world.attached.add(7);
  world.until(400);
  assert.deepEqual(world.sights.of(7), BOTH);
});

Deno.test("Sights may miss what a QEMU gets by hot-plug between the looks for its first disks", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/qemu-kvm");
  world.grant(7);
  world.turn();
  world.guarding.add(7);
  world.until(60);
  // Both looks see its first disk; libvirt asks for another one's lock, which QEMU opens later.
  world.grant(7);
  world.until(110);
  assert.deepEqual(world.sights.of(7), { qemu: true, files: [], partial: true });
  world.attached.add(7);
  world.until(2000);
  assert.deepEqual(world.sights.of(7), BOTH);
});

Deno.test("Sights knows nothing of an owner whose process is not watched", () => {
  const world = new World();
  world.grant(9);
  world.turn();
  world.until(100_000);
  assert.deepEqual(world.looks, []);
  assert.equal(world.sights.of(9), undefined);
});

Deno.test("Sights keeps what it has seen of an owner that is gone until it has nothing any more", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/writer");
  world.grant(7);
  world.turn();
  world.programs.delete(7);
  world.sights.dying(7);
  world.until(5000);
  assert.deepEqual(world.sights.of(7), { qemu: false, files: [] });
  world.owners.delete(7);
  world.until(100_000);
  assert.equal(world.sights.of(7), undefined);
});

Deno.test("Sights looks once more at an owner that is about to end, and forgets it when it is told to", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/writer");
  world.grant(7);
  world.turn();
  world.sights.dying(7);
  assert.deepEqual(world.looks, ["7 at 0", "7 at 0"]);
  world.sights.forget(7);
  assert.equal(world.sights.of(7), undefined);
  world.sights.dying(7);
  assert.equal(world.looks.length, 2);
});

Deno.test("Sights looks at a few owners in a turn when many are taken over", () => {
  const world = new World();
  for (let pid = 1; pid <= 100; pid++) {
    world.programs.set(pid, "/usr/bin/qemu-kvm");
    world.owners.add(pid);
    world.sights.resume(pid, 60_000);
    world.sights.resume(pid, 60_000);
  }
  world.until(20);
  assert.equal(world.looks.length, 32);
  world.until(80);
  assert.equal(world.looks.length, 100);
});

const NOTHING = { qemu: false, files: [] };

Deno.test("Sights looks at an owner before it is told of its lock where that must be known", () => {
  const world = new World();
  world.programs.set(7, "/usr/bin/qemu-system-x86_64");
  world.guarding.add(7);
  world.owners.add(7);
  world.sights.granted(7, "at once", true);
  assert.deepEqual(world.sights.of(7), GUARDED);
});

Deno.test("Sights knows that an owner has written nothing that was gone when it got its only lock", () => {
  const world = new World();
  for (const pid of [7, 8, 9]) world.owners.add(pid);
  // One that is not watched may live.
  world.sights.granted(7, "at once", true);
  assert.equal(world.sights.of(7), undefined);
  world.ended.add(7);
  world.sights.granted(7, "at once", true);
  assert.deepEqual(world.sights.of(7), NOTHING);
  // It has something else, of whose writes nobody knows.
  world.sights.granted(8, "at once", false);
  assert.equal(world.sights.of(8), undefined);
  world.ending = 9;
  world.stat = "9 (qemu) R 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0";
  world.sights.granted(9, "at once", true);
  assert.equal(world.sights.of(9), undefined);
  world.sights.forget(9);
  world.stat = world.stat.replace(") R", ") Z");
  world.sights.granted(9, "at once", true);
  assert.deepEqual(world.sights.of(9), NOTHING);
});
