import assert from "node:assert/strict";
import { StoreGuard } from "../../../../src/lockd/crash/store_guard.ts";
import type { LearntStore } from "../../../../src/lockd/daemon/systemctl.ts";
import { KeptLog } from "../journal/kept_log.ts";

/** A guard of a store that takes what `takes` says, of a systemd that answers what `shows` says. */
class Stage {
  readonly log = new KeptLog();
  readonly done: string[] = [];
  readonly pauses: number[] = [];
  /** What is to happen next, in order. */
  readonly next: (() => void)[] = [];
  takes = true;
  shows: LearntStore = { kind: "known", limit: 100, kept: 0 };
  kept = true;
  stored = 5;
  /** What the store was asked to note is told as it is now; `fewest` where there were fewer in between. */
  fewest: number | undefined;
  limit = 50;
  readonly guard: StoreGuard;

  constructor(asks = true) {
    this.guard = new StoreGuard({
      store: this.#store(),
      loop: {
        after: (milliseconds, task) => {
          this.pauses.push(milliseconds);
          this.next.push(task);
          return { due: 0, cancel: () => {} };
        },
      },
      log: this.log,
      drops: 0,
      learn: asks ? (done) => void this.next.push(() => done(this.shows)) : undefined,
      fill: () => void this.done.push("filled"),
      atStake: () => "2 locks of the guest 'a'",
    });
  }

  #store(): ConstructorParameters<typeof StoreGuard>[0]["store"] {
    // deno-lint-ignore no-this-alias -- the getters have a this of their own
    const stage = this;
    return {
      get kept() {
        return stage.kept;
      },
      get status() {
        const { stored, limit, kept } = stage;
        return { stored, inQueues: 0, limit, refused: 0, queued: 0, kept };
      },
      probe: (done) => void this.next.push(() => done(this.takes)),
      resume: (limit) => {
        this.kept = true;
        this.limit = limit;
        this.done.push(`resumed with ${limit}`);
      },
      relimit: (limit) => {
        this.limit = limit;
        this.done.push(`takes ${limit}`);
      },
      get least() {
        return stage.fewest ?? stage.stored;
      },
      noteLeast: () => void this.done.push("noted"),
      settled: (done) => void this.next.push(done),
      distrust: () => this.drop(),
    };
  }

  /** The store notices that something was dropped. */
  drop(): void {
    this.kept = false;
    this.guard.dropped();
  }

  /** Does what is to be done, so many times. */
  steps(count: number): void {
    for (let step = 0; step < count; step++) this.next.shift()?.();
  }
}

const DROPPED =
  "error: systemd has dropped what it kept for the daemon, and a crash or a restart would free 2 locks of the " +
  "guest 'a'. Having it stored anew: the next lines say whether systemd takes it";

function nothing(reason: string): string {
  return `error: systemd keeps nothing for the daemon: ${reason}. Do not restart it: that would free 2 locks of the guest ` +
    "'a' until the next daemon takes them again by the journal's file. It is tried again every minute; 'virtlockd doctor' " +
    "says what to do";
}

Deno.test("StoreGuard has everything stored anew, with the limit that systemd has by now", () => {
  const stage = new Stage();
  stage.drop();
  assert.deepEqual(stage.guard.trouble, "systemd has dropped it");
  assert.equal(stage.guard.busy, true);
  stage.steps(3);
  assert.deepEqual(stage.done, ["resumed with 100", "filled"]);
  assert.deepEqual(stage.log.lines, [DROPPED, "warning: systemd keeps 5 descriptors of the daemon again"]);
  const { trouble, busy, drops, limit } = stage.guard;
  assert.deepEqual({ trouble, busy, drops, limit }, {
    trouble: undefined,
    busy: false,
    drops: 1,
    limit: 100,
  });
});

Deno.test("StoreGuard tries again after growing pauses, and says each reason once", () => {
  const stage = new Stage();
  stage.shows = { kind: "known", limit: 0, kept: 0 };
  stage.drop();
  for (let round = 0; round < 6; round++) stage.steps(2);
  assert.deepEqual(stage.pauses, [1000, 5000, 15_000, 60_000, 60_000, 60_000]);
  const reason = "FileDescriptorStoreMax= of the service is 0";
  assert.deepEqual(stage.log.lines, [DROPPED, nothing(reason)]);
  assert.equal(stage.guard.trouble, reason);
  stage.shows = { kind: "known", limit: 7, kept: 0 };
  stage.steps(4);
  assert.deepEqual(stage.done, ["resumed with 7", "filled"]);
  assert.equal(stage.guard.drops, 1);
});

Deno.test("StoreGuard finds out by trying where systemd does not answer, or there is another manager", () => {
  const mute = new Stage();
  mute.shows = { kind: "unknown", reason: "systemctl show virtlockd.service does not answer: x" };
  mute.guard.begin();
  mute.kept = false;
  mute.takes = false;
  mute.steps(2);
  assert.deepEqual(mute.log.lines, [nothing("systemctl show virtlockd.service does not answer: x")]);
  mute.takes = true;
  mute.steps(4);
  assert.deepEqual(mute.done, ["resumed with 50", "filled"]);

  // Of libvirt's daemon no limit is known.
  const after = new Stage();
  after.shows = mute.shows;
  after.limit = 0;
  after.kept = false;
  after.guard.begin();
  after.steps(3);
  assert.deepEqual(after.done, ["resumed with 65536", "filled"]);

  const other = new Stage(false);
  other.drop();
  other.steps(2);
  assert.deepEqual(other.done, ["resumed with 50", "filled"]);
});

Deno.test("StoreGuard does not store anew at once what is dropped as soon as it is stored", () => {
  const stage = new Stage(false);
  stage.drop();
  stage.steps(1);
  assert.deepEqual(stage.done, ["resumed with 50", "filled"]);
  stage.drop();
  assert.deepEqual(stage.log.lines, [DROPPED, nothing("it drops what it is sent")]);
  assert.deepEqual(stage.pauses, [1000]);
  assert.equal(stage.guard.drops, 1);
});

Deno.test("StoreGuard.look() compares with what systemd has, and tries at once what it would try later", () => {
  const stage = new Stage();
  stage.shows = { kind: "known", limit: 50, kept: 5 };
  stage.guard.look();
  stage.steps(2);
  assert.equal(stage.guard.drops, 0);
  stage.shows = { kind: "known", limit: 50, kept: 4 };
  stage.guard.look();
  stage.steps(2);
  assert.deepEqual([stage.guard.drops, stage.done], [1, ["noted", "noted"]]);

  const waiting = new Stage();
  waiting.shows = { kind: "known", limit: 0, kept: 0 };
  waiting.drop();
  waiting.steps(1);
  waiting.guard.look();
  assert.equal(waiting.guard.busy, true);
});

Deno.test("StoreGuard.look() takes clients that came and went for nothing that systemd has dropped", () => {
  const stage = new Stage();
  // One had gone when systemd counted, and another has come since.
  stage.shows = { kind: "known", limit: 50, kept: 4 };
  stage.fewest = 4;
  stage.guard.look();
  stage.steps(2);
  assert.deepEqual([stage.guard.drops, stage.kept, stage.log.lines], [0, true, []]);
});

Deno.test("StoreGuard.look() compares once more when it is asked to meanwhile, and goes by systemd's limit", () => {
  const stage = new Stage();
  stage.shows = { kind: "known", limit: 70, kept: 5 };
  stage.guard.look();
  stage.steps(1);
  stage.guard.look();
  stage.steps(3);
  assert.deepEqual([stage.next.length, stage.done], [0, ["noted", "takes 70", "noted"]]);
  assert.equal(stage.guard.limit, 70);
});

Deno.test("StoreGuard rests while another program takes over, and goes on if that did not", () => {
  const stage = new Stage();
  stage.shows = { kind: "known", limit: 0, kept: 0 };
  stage.drop();
  stage.steps(1);
  stage.guard.rest();
  stage.steps(3);
  assert.equal(stage.guard.busy, false);
  stage.guard.resume();
  assert.equal(stage.guard.busy, true);
});
