import { EPOLLIN, SIGUSR1 } from "../../../src/os/constants.ts";
import { EVENT_BATCH } from "../../../src/os/event_sys.ts";
import type { Sys } from "../../../src/os/sys.ts";
import { must } from "../../../src/os/system_error.ts";
import { imageMark } from "../../support/process_usage.ts";
import type { Client } from "./client.ts";
import { lockspaceFrame } from "./frames.ts";
import { Latencies } from "./latencies.ts";
import { acquireAll, connectAll } from "./run_hold.ts";
import type { ReExecResult, ReExecTask, Target } from "./task.ts";

/** A request that is not answered within this many ms is lost. */
const LOST_AFTER = 5000;
/** The daemon has seen the signal by then, so that it is busy restarting when the request comes. */
const HEAD_START = 1;
/** How long the load runs before the signal. */
const BEFORE = 200;
/**
 * How long it goes on after the new image has been seen; what is still unanswered then may take until
 * LOST_AFTER.
 */
const AFTER = 200;
/** How often is looked for the new image under load. */
const LOOK = 5;

/** Carries a {@link ReExecTask} out. */
export function runReExec(sys: Sys, target: Target, task: ReExecTask): ReExecResult {
  const clients = connectAll(sys, target, task.clients);
  acquireAll(sys, target, clients, task.locks, new Latencies());
  const frame = lockspaceFrame(target.lockspace);
  const quiet: number[] = [];
  let lost = 0;
  let restarted = true;
  for (let round = 0; round < task.quiet; round++) {
    const image = imageMark(target.pid);
    // Another client each time: one whose request was lost is of no further use.
    const longest = longestWait(sys, target, clients[task.busy + round] as Client, frame);
    if (longest === undefined) lost++;
    else quiet.push(longest);
    restarted &&= imageMark(target.pid) !== image;
  }
  const image = imageMark(target.pid);
  const { longest, unanswered } = busy(sys, target, clients.slice(0, task.busy), frame);
  restarted &&= imageMark(target.pid) !== image;
  return { quiet, quietLost: lost, busy: longest, busyLost: unanswered, restarted };
}

/**
 * One restart with nothing in flight at the signal. Then one client sends one request after the other, until
 * a new image has answered: a daemon may go on serving for a while before it restarts.
 *
 * @returns the longest time to an answer; undefined when there was none
 */
function longestWait(sys: Sys, target: Target, client: Client, frame: Uint8Array): number | undefined {
  const image = imageMark(target.pid);
  const signalled = signal(sys, target);
  client.readable(HEAD_START);
  for (let longest = 0;;) {
    const sent = sys.monotonic();
    client.send(frame);
    if (!client.readable(LOST_AFTER)) return undefined;
    client.receive();
    const now = sys.monotonic();
    longest = Math.max(longest, now - sent);
    if (imageMark(target.pid) !== image || now - signalled > LOST_AFTER) return longest;
  }
}

/** @returns when the signal was sent */
function signal(sys: Sys, target: Target): number {
  const now = sys.monotonic();
  must(sys.kill(target.pid, SIGUSR1), "kill", "daemon");
  return now;
}

/** One restart while clients send without pause. */
function busy(
  sys: Sys,
  target: Target,
  clients: readonly Client[],
  frame: Uint8Array,
): { longest: number; unanswered: number } {
  const epoll = must(sys.epollCreate(), "epoll_create1", "load");
  const fds = new Int32Array(EVENT_BATCH);
  const events = new Uint32Array(EVENT_BATCH);
  const byFd = new Map(clients.map((client) => [client.fd, client]));
  const sentAt = new Map<number, number>();
  for (const client of clients) {
    must(sys.epollControl(epoll, 1, client.fd, EPOLLIN), "epoll_ctl", "client");
    sentAt.set(client.fd, sys.monotonic());
    client.send(frame);
  }
  let longest = 0;
  let broken = 0;
  let signalled = Infinity;
  const signalAt = sys.monotonic() + BEFORE;
  const image = imageMark(target.pid);
  let lookAt = Infinity;
  let end = Infinity;
  for (;;) {
    const now = sys.monotonic();
    if (signalled === Infinity && now >= signalAt) {
      signalled = signal(sys, target);
      end = signalled + LOST_AFTER;
      lookAt = now + LOOK;
    }
    if (now >= lookAt) {
      lookAt = now + LOOK;
      if (imageMark(target.pid) !== image) {
        end = now + AFTER;
        lookAt = Infinity;
      }
    }
    if (sentAt.size === 0 || now > end + LOST_AFTER) break;
    const wait = Math.min(lookAt, signalled === Infinity ? signalAt : end + LOST_AFTER) - now;
    const count = must(sys.epollWait(epoll, fds, events, Math.ceil(wait)), "epoll_wait", "load");
    const answered = sys.monotonic();
    for (let index = 0; index < count; index++) {
      const client = byFd.get(fds[index] as number) as Client;
      longest = Math.max(longest, answered - (sentAt.get(client.fd) ?? answered));
      sentAt.delete(client.fd);
      if (!answeredWell(client)) {
        must(sys.epollControl(epoll, 2, client.fd, 0), "epoll_ctl", "client");
        broken++;
      } else if (answered < end) {
        sentAt.set(client.fd, sys.monotonic());
        client.send(frame);
      }
    }
  }
  return { longest, unanswered: broken + sentAt.size };
}

function answeredWell(client: Client): boolean {
  try {
    client.receive();
    return true;
  } catch {
    return false;
  }
}
