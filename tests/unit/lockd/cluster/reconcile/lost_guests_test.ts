import assert from "node:assert/strict";
import {
  CHANGED_BY_HAND,
  HELD_BY_ANOTHER,
  LEFT_BEHIND,
  lostWhenFenced,
} from "../../../../../src/lockd/cluster/session/doubts.ts";
import {
  type LostGuest,
  LostGuests,
  type ToldProcess,
} from "../../../../../src/lockd/cluster/reconcile/lost_guests.ts";
import type { OnLost } from "../../../../../src/lockd/identity/cluster_settings.ts";
import type { Owner } from "../../../../../src/lockd/lockspace/owner.ts";
import type { Resource } from "../../../../../src/lockd/lockspace/resource.ts";
import { SIGKILL, SIGSTOP } from "../../../../../src/os/constants.ts";
import { EPERM, ESRCH } from "../../../../../src/os/errno.ts";
import { resource } from "../../programs/lock_fixture.ts";

const FENCED = lostWhenFenced("ann");
const DAEMON = 50;

/** Guests whose processes are played. */
class Stage {
  onLost: OnLost = "pause";
  /** What the kernel says to the next signals; 0: it was sent. */
  answer = 0;
  readonly told: string[] = [];
  readonly sent: [pidfd: number, signal: number][] = [];
  readonly stopped = new Set<number>();
  readonly known = new Map<number, ToldProcess>();
  readonly resources: Resource[] = [];
  readonly guests = new LostGuests({
    sys: {
      pid: () => DAEMON,
      pidfdSignal: (pidfd, signal) => {
        this.sent.push([pidfd, signal]);
        return this.answer;
      },
      open: (path) => Number(/\d+/.exec(path)?.[0]),
      read: (pid, into) => {
        const state = this.stopped.has(pid) ? "T" : "S";
        const text = `${pid} (qemu) ${state} 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 5 0 ${pid * 10} 0 0\n`;
        return new TextEncoder().encodeInto(text, into).written;
      },
      close: () => 0,
    },
    onLost: () => this.onLost,
    processOf: (owner) => this.known.get(owner.pid) ?? "untold",
    resources: () => this.resources,
    observer: { lostGuest: (guest) => void this.told.push(lineOf(guest)) },
  });

  /** A lock of guests whose processes are known. */
  lock(reason: string, ...pids: number[]): Resource {
    const owners = pids.map((pid): Owner => ({ pid, name: `g${pid}`, uuid: `u${pid}`, id: 1 }));
    for (const pid of pids) this.known.set(pid, { key: pid, pid, start: pid * 10, pidfd: pid + 100 });
    const lock = resource({
      id: this.resources.length + 1,
      lockspace: "/scsi",
      name: "disk",
      shared: pids.length > 1,
      holdings: owners.map((owner) => ({ owner, since: 5 })),
      state: { kind: "doubtful", reason },
    });
    this.resources.push(lock);
    return lock;
  }
}

function lineOf(guest: LostGuest): string {
  const { kind, owner } = guest;
  return `${owner.name} ${kind}${guest.kind === "spared" ? `: ${guest.reason}` : ""}`;
}

Deno.test("a guest whose lock another host has is stopped or killed through its pidfd, once", () => {
  for (
    const [onLost, signal, done] of [["pause", SIGSTOP, "stopped"], ["kill", SIGKILL, "killed"]] as const
  ) {
    const stage = new Stage();
    stage.onLost = onLost;
    const resource = stage.lock(FENCED, 7);
    stage.guests.taken(resource);
    assert.deepEqual(stage.sent, [[107, signal]]);
    assert.deepEqual(stage.told, [`g7 ${done}`]);
    // It may wait for its storage, so it is sent again and nobody is told twice.
    stage.guests.taken(resource);
    assert.equal(stage.told.length, 1);
  }
});

Deno.test("a guest is left alone where it is only to be reported", () => {
  const stage = new Stage();
  stage.onLost = "report";
  const resource = stage.lock(FENCED, 7);
  stage.guests.taken(resource);
  assert.deepEqual([stage.sent, stage.told], [[], []]);
  // The configuration is read again.
  stage.onLost = "pause";
  stage.guests.taken(resource);
  stage.stopped.add(7);
  stage.onLost = "kill";
  stage.guests.taken(resource);
  assert.deepEqual(stage.sent, [[107, SIGSTOP], [107, SIGKILL]]);
  assert.deepEqual(stage.told, ["g7 stopped", "g7 killed"]);
});

Deno.test("a guest that is stopped is not sent anything, and one that somebody has let go on is stopped again", () => {
  const stage = new Stage();
  const resource = stage.lock(FENCED, 7);
  stage.guests.taken(resource);
  stage.stopped.add(7);
  stage.guests.taken(resource);
  assert.deepEqual([stage.sent.length, stage.guests.stopped], [1, 1]);
  stage.stopped.delete(7);
  stage.guests.taken(resource);
  assert.deepEqual(stage.told, ["g7 stopped", "g7 stopped"]);
  assert.deepEqual([stage.sent.length, stage.guests.stopped], [2, 0]);
  // Its lock is had again, and it stands still.
  stage.guests.taken(resource);
  stage.stopped.add(7);
  stage.resources.pop();
  assert.equal(stage.guests.stopped, 1);
  stage.stopped.delete(7);
  assert.equal(stage.guests.stopped, 0);
});

Deno.test("another process of the same number is not taken for a stopped guest", () => {
  const stage = new Stage();
  stage.lock(FENCED, 7);
  stage.stopped.add(7);
  stage.known.set(7, { key: 7, pid: 7, start: 71, pidfd: 107 });
  assert.equal(stage.guests.stopped, 0);
});

Deno.test("every guest is dealt with that shares a lock which another host has for itself", () => {
  const stage = new Stage();
  stage.guests.taken(stage.lock(FENCED, 7, 8, 7));
  assert.deepEqual(stage.sent, [[107, SIGSTOP], [108, SIGSTOP]]);
});

Deno.test("nothing happens to a guest of whom nothing is certain, or that does not run", () => {
  const stage = new Stage();
  const met: [string, number][] = [];
  const observer = stage.guests.told({
    clusterDoubtful: ({ id }: Resource, reason: string) => void met.push([reason, id]),
  });
  // Both hosts had it when the cluster was opened or restored.
  const agreed = stage.lock(HELD_BY_ANOTHER, 7);
  observer.clusterDoubtful(agreed, HELD_BY_ANOTHER);
  stage.guests.taken(agreed);
  // It has been so since before this host was fenced.
  observer.clusterDoubtful(agreed, FENCED);
  // This host has given it up, and nobody else has it yet.
  const left = stage.lock(LEFT_BEHIND, 8);
  observer.clusterDoubtful(left, LEFT_BEHIND);
  for (const regrant of ["parked", "leaving"] as const) {
    observer.clusterDoubtful({ ...stage.lock(FENCED, 9), regrant }, FENCED);
  }
  const ended = stage.lock(FENCED, 10);
  stage.known.set(10, "ended");
  observer.clusterDoubtful(ended, FENCED);
  assert.deepEqual([stage.sent, stage.told], [[], []]);
  assert.equal(met.length, 6);
  stage.guests.taken(left);
  assert.deepEqual(stage.sent.at(-1), [108, SIGSTOP]);
});

Deno.test("what was lost is dealt with as soon as it is told, behind everybody else", () => {
  const stage = new Stage();
  stage.onLost = "kill";
  const observer = stage.guests.told({
    clusterDoubtful: (_: Resource, reason: string) => void stage.told.push(reason),
  });
  observer.clusterDoubtful(stage.lock(FENCED, 7), FENCED);
  observer.clusterDoubtful(stage.lock(CHANGED_BY_HAND, 8), CHANGED_BY_HAND);
  assert.deepEqual(stage.told, [FENCED, "g7 killed", CHANGED_BY_HAND, "g8 killed"]);
});

Deno.test("a guest that cannot be ended is told of, once for each reason", () => {
  const stage = new Stage();
  const resource = stage.lock(FENCED, 7);
  stage.answer = -EPERM;
  stage.guests.taken(resource);
  stage.guests.taken(resource);
  assert.deepEqual(stage.told, ["g7 spared: pidfd_send_signal process 7: Operation not permitted (EPERM)"]);
  stage.answer = 0;
  stage.guests.taken(resource);
  assert.deepEqual(stage.told.slice(1), ["g7 stopped"]);
  const unknown = stage.lock(FENCED, 8);
  stage.known.delete(8);
  stage.guests.taken(unknown);
  stage.guests.taken(unknown);
  assert.deepEqual(stage.told.slice(2), ["g8 spared: nothing tells which process it is"]);
});

Deno.test("a process that has just ended is nobody's, and the daemon and init are no guests", () => {
  const stage = new Stage();
  stage.answer = -ESRCH;
  stage.guests.taken(stage.lock(FENCED, 7));
  assert.deepEqual(stage.told, []);
  stage.answer = 0;
  stage.onLost = "kill";
  stage.guests.taken(stage.lock(FENCED, 1, DAEMON));
  assert.equal(stage.sent.length, 1);
  assert.deepEqual(stage.told, ["g1 spared: process 1 is no guest", "g50 spared: process 50 is no guest"]);
});
