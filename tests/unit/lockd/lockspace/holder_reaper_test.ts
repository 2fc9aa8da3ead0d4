import assert from "node:assert/strict";
import { ANYWHERE } from "../../../support/anywhere.ts";
import { NOTHING_WRITTEN } from "../../../support/nothing_written.ts";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { type DyingHolder, HolderReaper } from "../../../../src/lockd/lockspace/holder_reaper.ts";
import { LockTable } from "../../../../src/lockd/lockspace/lock_table.ts";
import { OwnerWatch } from "../../../../src/lockd/lockspace/owner_watch.ts";
import { PosixGuard } from "../../../../src/lockd/lockspace/posix_guard.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { peer } from "../programs/program_fixture.ts";
import { DEAF } from "../../../support/deaf_observer.ts";
import { kernel } from "../../../support/kernel.ts";

const PID = 4_000_001;
/** The one from accept, and the watch's copy of it. */
const ACCEPTED = 89;
const PIDFD = 90;
const OWNER = { pid: PID, id: 1, name: "guest", uuid: "11111111-2222-3333-4444-555555555555" };
const TIMER = 4;
/** Descriptor of a file in /proc. */
const PROC_FILE = 70;

/** A reaper with one lock of one holder, in a world whose clock and processes the test plays. */
class World {
  now = 10_000;
  exiting = false;
  /** Whether a release comes to its end. */
  unlocks = true;
  /** Whether the last writes of a process have landed. */
  landed = true;
  /** Locks that wait for that. */
  readonly waiting: (() => void)[] = [];
  signalResult = 0;
  readonly ready: [fd: number, events: number][] = [];
  readonly watched = new Set<number>();
  readonly closed: number[] = [];
  readonly events: string[] = [];
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly table: LockTable;
  readonly watch: OwnerWatch;
  readonly reaper: HolderReaper;

  constructor() {
    const sys = {
      ...kernel,
      close: (fd: number) => this.closed.push(fd),
      epollCreate: () => 3,
      timerCreate: () => TIMER,
      timerSet: () => 0,
      epollControl: (_epoll: number, op: number, fd: number) => {
        if (op === 1) this.watched.add(fd);
        if (op === 2) this.watched.delete(fd);
        return 0;
      },
      epollWait: (_epoll: number, fds: Int32Array, bits: Uint32Array) => {
        const batch = this.ready.splice(0);
        batch.forEach(([fd, events], index) => {
          fds[index] = fd;
          bits[index] = events;
        });
        return batch.length;
      },
      monotonic: () => this.now,
      fcntl: () => PIDFD,
      pidfdSignal: (pidfd: number, signal: number) => {
        this.events.push(`signal ${signal} to ${pidfd}`);
        return this.signalResult;
      },
      open: () => PROC_FILE,
      read: (_fd: number, into: Uint8Array) => {
        const flags = this.exiting ? 4 : 0;
        return new TextEncoder().encodeInto(`${PID} (q) S 1 1 1 0 0 ${flags}${" 0".repeat(12)} 5 0`, into)
          .written;
      },
    };
    this.loop = new EventLoop(sys);
    this.ledger = new DescriptorLedger(sys);
    this.watch = new OwnerWatch({ sys, loop: this.loop, ledger: this.ledger });
    this.table = new LockTable({
      watch: this.watch,
      opened: () => "unknown",
      staleResumeAllowed: () => false,
      files: {
        lock: (_request, done) =>
          done({
            kind: "granted",
            fd: 50,
            identity: { devMajor: 1, devMinor: 1, inodeLow: 1, inodeHigh: 0 },
          }),
        unlock: (request, _identity, _slow, done) => {
          if (!this.unlocks) return;
          this.events.push("unlock");
          this.ledger.close(request.fd);
          done(undefined);
        },
        create: (_path, _follow, done) => done(undefined),
        remove: (_path, done) => done(undefined),
        makeDirectory: (_path, done) => done(undefined),
        checkDirectory: (_path, done) => done(undefined),
      },
      ...ANYWHERE,
      ...NOTHING_WRITTEN,
      settler: {
        ...NOTHING_WRITTEN.settler,
        settle: (_resource, _holding, over) => this.landed ? over() : this.waiting.push(over),
        isSettling: () => this.waiting.length > 0,
      },
      ledger: this.ledger,
      guard: new PosixGuard(this.ledger),
      observer: DEAF,
      findHolder: (_path, _identity, _pid, done) => done({ kind: "unknown" }),
      now: () => this.now,
    });
    this.reaper = new HolderReaper({
      sys,
      loop: this.loop,
      watch: this.watch,
      table: this.table,
      observer: {
        signalled: (pid, signal, locks) => this.events.push(`${signal} ${pid} ${locks.length}`),
        signalFailed: (pid, error) => this.events.push(`failed ${pid} ${error.errno}`),
        dying: ({ pid, killed }) => this.events.push(`dying ${pid} ${killed}`),
        gone: ({ pid }, locks, signalled) => this.events.push(`gone ${pid} ${locks.length} ${signalled}`),
        settled: ({ pid }) => this.events.push(`settled ${pid}`),
      },
      now: () => this.now,
    });
  }

  acquire(): void {
    this.watch.connected(OWNER, peer({ pid: PID, pidfd: ACCEPTED }));
    this.table.acquire("", "/disk", { shared: false, autocreate: false }, OWNER, () => {});
  }

  /** Its connection ends. */
  end(): void {
    this.reaper.end(OWNER);
  }

  /** Time goes by; the timer fires if it is due. */
  wait(milliseconds: number): void {
    this.now += milliseconds;
    this.ready.push([TIMER, 1]);
    this.loop.turn(0);
  }

  /** The process ends. */
  die(): void {
    this.ready.push([PIDFD, 1]);
    this.loop.turn(0);
  }
}

Deno.test("HolderReaper sends SIGTERM, after 1.6 s SIGKILL, and releases when the process is gone", () => {
  const world = new World();
  world.acquire();
  world.end();
  assert.deepEqual(world.events.splice(0), [`dying ${PID} false`, "signal 15 to 90", `SIGTERM ${PID} 1`]);
  assert.ok(world.table.isDying(PID));
  assert.deepEqual(world.reaper.dying, [{ key: PID, pid: PID, pidfd: PIDFD, since: 10_000, killed: false }]);
  world.wait(1599);
  assert.deepEqual(world.events, []);
  world.wait(1);
  assert.deepEqual(world.events.splice(0), [`dying ${PID} true`, "signal 9 to 90", `SIGKILL ${PID} 1`]);
  assert.equal(world.table.resourceCount, 1);
  world.die();
  assert.deepEqual(world.events, [`gone ${PID} 1 true`, "unlock", `settled ${PID}`]);
  assert.deepEqual(world.closed.filter((fd) => fd !== PROC_FILE), [50, PIDFD]);
  assert.deepEqual([...world.watched], [TIMER]);
  assert.deepEqual(world.reaper.dying, []);
  assert.ok(!world.table.isDying(PID));
});

Deno.test("HolderReaper does not send SIGKILL to a process that ended at SIGTERM", () => {
  const world = new World();
  world.acquire();
  world.end();
  world.die();
  world.events.length = 0;
  world.wait(5000);
  assert.deepEqual(world.events, []);
});

Deno.test("HolderReaper sends nothing to a process that is ending by itself, but not for ever", () => {
  const world = new World();
  world.exiting = true;
  world.acquire();
  world.end();
  assert.deepEqual(world.events.splice(0), [`dying ${PID} false`]);
  world.wait(1600);
  assert.deepEqual(world.events.splice(0), [`dying ${PID} true`, "signal 9 to 90", `SIGKILL ${PID} 1`]);
  world.die();
  assert.equal(world.events[0], `gone ${PID} 1 true`);
});

Deno.test("HolderReaper says of a process that ended by itself that it was not signalled", () => {
  const world = new World();
  world.exiting = true;
  world.acquire();
  world.end();
  world.die();
  assert.deepEqual(world.events.slice(1), [`gone ${PID} 1 false`, "unlock", `settled ${PID}`]);
});

Deno.test("HolderReaper releases at once what a process had that is gone", () => {
  const world = new World();
  // What it has came over from an earlier life of the daemon.
  world.watch.leaveUnwatched(OWNER);
  world.table.acquire("", "/disk", { shared: false, autocreate: false }, OWNER, () => {});
  world.watch.connected(OWNER, peer({ pid: PID, pidfd: -1 }));
  world.end();
  assert.deepEqual(world.events, [`gone ${PID} 1 false`, "unlock", `settled ${PID}`]);
  assert.equal(world.ledger.size, 0);
  assert.ok(!world.table.isDying(PID));
});

Deno.test("HolderReaper frees what a process had that ended while its connection is still open", () => {
  const world = new World();
  world.acquire();
  world.die();
  assert.deepEqual(world.events, [`gone ${PID} 1 false`, "unlock", `settled ${PID}`]);
  world.end();
  assert.equal(world.events.length, 3);
  assert.equal(world.ledger.size, 0);
});

Deno.test("HolderReaper does not forget an owner that is gone while a lock of it waits, whatever else it is said to get", () => {
  const world = new World();
  world.landed = false;
  world.acquire();
  world.die();
  assert.deepEqual(world.events.splice(0), [`gone ${PID} 1 false`]);
  // As a request of its that is answered once more after a crash.
  world.reaper.granted(OWNER);
  assert.deepEqual(world.events.splice(0), [`gone ${PID} 1 false`]);
  assert.deepEqual(world.reaper.judge(OWNER), { kind: "dead" });
  for (const over of world.waiting.splice(0)) over();
  assert.deepEqual(world.events, ["unlock", `settled ${PID}`]);
  assert.deepEqual(world.reaper.judge(OWNER), { kind: "unjudged" });
});

Deno.test("HolderReaper judges an owner by its process alone", () => {
  const world = new World();
  assert.deepEqual(world.reaper.judge(OWNER), { kind: "unjudged" });
  world.acquire();
  assert.deepEqual(world.reaper.judge(OWNER), { kind: "alive", pid: PID });
  world.unlocks = false;
  world.die();
  assert.deepEqual(world.reaper.judge(OWNER), { kind: "dead" });
});

Deno.test("HolderReaper leaves a process without locks alone", () => {
  const world = new World();
  world.end();
  assert.deepEqual(world.events, []);
});

Deno.test("HolderReaper ends a process once, also when a second connection of it ends", () => {
  const world = new World();
  world.acquire();
  world.end();
  world.events.length = 0;
  world.end();
  assert.deepEqual(world.events, []);
  assert.equal(world.reaper.dying.length, 1);
});

Deno.test("HolderReaper keeps the locks of a process that it cannot signal", () => {
  const world = new World();
  world.signalResult = -1;
  world.acquire();
  world.end();
  assert.deepEqual(world.events.splice(0), [`dying ${PID} false`, "signal 15 to 90", `failed ${PID} 1`]);
  world.wait(1600);
  assert.equal(world.table.resourceCount, 1);
  world.die();
  assert.equal(world.table.resourceCount, 0);
});

Deno.test("HolderReaper makes nothing of a process that was gone when it was to be signalled", () => {
  const world = new World();
  world.signalResult = -3;
  world.acquire();
  world.end();
  assert.deepEqual(world.events, [`dying ${PID} false`, "signal 15 to 90"]);
});

/** A holder that an earlier image was ending. */
function resumed(since: number, killed: boolean): World {
  const world = new World();
  world.acquire();
  const holder: DyingHolder = { key: PID, pid: PID, pidfd: PIDFD, since, killed };
  world.reaper.resume(holder);
  world.events.length = 0;
  return world;
}

Deno.test("HolderReaper resume() goes on with the time that is left", () => {
  const world = resumed(9_000, false);
  assert.ok(world.table.isDying(PID));
  world.wait(599);
  assert.deepEqual(world.events, []);
  world.wait(1);
  assert.deepEqual(world.events, [`dying ${PID} true`, "signal 9 to 90", `SIGKILL ${PID} 1`]);
});

Deno.test("HolderReaper resume() does not wait longer because the clock was set", () => {
  const world = resumed(90_000, false);
  world.wait(1600);
  assert.deepEqual(world.events.slice(1, 2), ["signal 9 to 90"]);
});

Deno.test("HolderReaper resume() only waits for a process that was sent SIGKILL", () => {
  const world = resumed(0, true);
  world.wait(10_000);
  assert.deepEqual(world.events, []);
  world.die();
  assert.deepEqual(world.events, [`gone ${PID} 1 true`, "unlock", `settled ${PID}`]);
});
