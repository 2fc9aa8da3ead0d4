import { LockProcedure } from "../../src/wire/lock_protocol.ts";
import { Daemon } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { isFree } from "../support/kernel.ts";
import { Random } from "../support/random.ts";
import { RawClient } from "../support/raw_client.ts";
import { until } from "../support/until.ts";
import { Bystander } from "../fuzz/bystander.ts";
import { Churn } from "./churn.ts";
import type { Sample } from "./samples.ts";

/** Milliseconds of work, and then of rest, so that a long run leaves the machine to others. */
const WORK = 20;
const SAMPLES = 60;
const RE_EXECS = 10;

/** How long a soak runs, and how hard. */
export interface SoakOptions {
  readonly seconds: number;
  readonly seed: number;
  /** Share of the time in which requests are sent, 0 to 1. */
  readonly load: number;
  /** Told of every sample. */
  readonly sampled: (sample: Sample) => void;
}

/** What a soak has done. */
export interface SoakReport {
  readonly samples: readonly Sample[];
  readonly requests: number;
  /** Holders that were dropped and ended by the daemon. */
  readonly holders: number;
}

/**
 * Churn on one daemon: guests that come and go, holders that are ended, in the first half of the time a re-exec now and then.
 *
 * @throws Error when a request fails, a lock is wrong, or the daemon logs an error
 */
export async function soak({ seconds, seed, load, sampled }: SoakOptions): Promise<SoakReport> {
  await using daemon = await Daemon.start({ env: { LIBVIRT_LOG_OUTPUTS: "4:stderr" } });
  const lockspace = daemon.place.makeDirectory("locks");
  using bystander = new Bystander(daemon.socket, daemon.place.makeDirectory("bystander"));
  const churn = new Churn(daemon.socket, lockspace, new Random(seed));
  createLockspace(daemon, lockspace);
  const samples: Sample[] = [];
  const begun = performance.now();
  const elapsed = () => (performance.now() - begun) / 1000;
  let [holders, images] = [0, 0];
  const look = () => {
    churn.end();
    bystander.check();
    const sample = { time: elapsed(), memory: memory(daemon), descriptors: descriptors(daemon), images };
    samples.push(sample);
    sampled(sample);
  };
  for (let next = 0; next < SAMPLES;) {
    const end = performance.now() + WORK;
    while (performance.now() < end) churn.step();
    await new Promise((resolve) => setTimeout(resolve, WORK / load - WORK));
    if (elapsed() < (next + 1) * seconds / SAMPLES) continue;
    next++;
    if (next % 6 === 0) {
      await loseHolder(daemon, lockspace);
      holders++;
    }
    look();
    if (next <= SAMPLES / 2 && next % (SAMPLES / 2 / RE_EXECS) === 0) {
      await reExec(daemon);
      images++;
    }
    if (daemon.log.text !== "") throw new Error(`The daemon logged an error:\n${daemon.log.text}`);
  }
  return { samples, requests: churn.requests, holders };
}

function createLockspace(daemon: Daemon, path: string): void {
  using client = RawClient.connect(daemon.socket);
  const refusal = client.request(LockProcedure.CREATE_LOCKSPACE, (writer) => writer.string(path));
  if (refusal !== undefined) throw refusal;
}

/** A process whose connection ends while it has a lock, which the daemon therefore ends. */
async function loseHolder(daemon: Daemon, lockspace: string): Promise<void> {
  await using holder = await Holder.start(daemon);
  await holder.acquire(lockspace, `holder-${holder.pid}`, 2);
  const left = holder.disconnect();
  await Promise.allSettled([left, holder.endedBy()]);
  await until("the holder's lock to go", () => isFree(`${lockspace}/holder-${holder.pid}`));
}

async function reExec(daemon: Daemon): Promise<void> {
  const before = imageMark(daemon.pid);
  daemon.signal("SIGUSR1");
  await until("the next image", () => imageMark(daemon.pid) !== before);
}

/** Where the stack begins: the kernel chooses it anew for each image (proc(5), field 28 of stat). */
function imageMark(pid: number): string {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[25] ?? "";
}

function memory(daemon: Daemon): number {
  const status = Deno.readTextFileSync(`/proc/${daemon.pid}/status`);
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1]) / 1024;
}

function descriptors(daemon: Daemon): number {
  return [...Deno.readDirSync(`/proc/${daemon.pid}/fd`)].length;
}
