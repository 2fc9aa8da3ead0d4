import { ACQUIRE_AUTOCREATE, LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import { Daemon } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { kernel } from "../support/kernel.ts";
import { Place } from "../support/place.ts";
import { imageMark, openDescriptors } from "../support/process_usage.ts";
import { Random } from "../support/random.ts";
import { RawClient } from "../support/raw_client.ts";
import { until } from "../support/until.ts";
import { Bystander } from "../fuzz/bystander.ts";
import { copyProgram } from "./built_program.ts";
import { Churn } from "./churn.ts";
import { processMemory } from "../support/process_usage.ts";
import type { Sample } from "./samples.ts";

/** Milliseconds of work, and then of rest, so that a long run leaves the machine to others. */
const WORK = 20;
const SAMPLES = 120;
/** Re-execs in the first half of the samples, and holders in all of them. */
const RE_EXECS = 10;
const HOLDERS = 10;

/** How long a soak runs, and how hard. */
export interface SoakOptions {
  /** How long guests come and go; re-execs and the ends of holders take some time more. */
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
 * Churn on one daemon: guests that come and go, holders that are ended, in the first half of the time a
 * re-exec now and then.
 *
 * @throws Error when a request fails, a lock is wrong, or the daemon logs an error
 */
export async function soak({ seconds, seed, load, sampled }: SoakOptions): Promise<SoakReport> {
  using place = Place.create();
  const program = copyProgram(place);
  await using daemon = await Daemon.start({ place, program, env: { LIBVIRT_LOG_OUTPUTS: "4:stderr" } });
  const lockspace = place.makeDirectory("locks");
  using bystander = new Bystander(daemon.socket, place.makeDirectory("bystander"));
  const churn = new Churn(daemon.socket, lockspace, new Random(seed));
  createLockspace(daemon, lockspace);
  const samples: Sample[] = [];
  const begun = performance.now();
  let [holders, images] = [0, 0];
  for (let count = 1; count <= SAMPLES; count++) {
    await work(churn, seconds / SAMPLES / 2, load);
    // In the midst of it, with guests connected.
    if (count <= SAMPLES / 2 && count % (SAMPLES / 2 / RE_EXECS) === 0) {
      await reExec(daemon);
      images++;
    }
    await work(churn, seconds / SAMPLES / 2, load);
    if (count % (SAMPLES / HOLDERS) === 0) {
      await loseHolder(daemon, lockspace);
      holders++;
    }
    churn.end();
    bystander.check();
    const time = (performance.now() - begun) / 1000;
    const sample = { time, ...processMemory(daemon.pid), descriptors: openDescriptors(daemon.pid), images };
    samples.push(sample);
    sampled(sample);
    if (daemon.log.text !== "") throw new Error(`The daemon logged an error:\n${daemon.log.text}`);
  }
  return { samples, requests: churn.requests, holders };
}

async function work(churn: Churn, seconds: number, load: number): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const rest = performance.now() + WORK;
    while (performance.now() < rest) churn.step();
    await new Promise((resolve) => setTimeout(resolve, WORK / load - WORK));
  }
}

function createLockspace(daemon: Daemon, path: string): void {
  using client = RawClient.connect(daemon.socket);
  const refusal = client.request(LockProcedure.CREATE_LOCKSPACE, (writer) => writer.string(path));
  if (refusal !== undefined) throw refusal;
}

/** A process whose connection ends while it has a lock, which the daemon therefore ends. */
async function loseHolder(daemon: Daemon, lockspace: string): Promise<void> {
  await using holder = await Holder.start(daemon);
  const name = `holder-${holder.pid}`;
  await holder.acquire(lockspace, name, ACQUIRE_AUTOCREATE);
  const left = holder.disconnect();
  // It may be ended before it can tell that it has done so.
  await Promise.allSettled([left, holder.endedBy()]);
  await until("the holder's lock and its file to go", () => kernel.access(`${lockspace}/${name}`, 0) < 0);
}

async function reExec(daemon: Daemon): Promise<void> {
  const before = imageMark(daemon.pid);
  daemon.signal("SIGUSR1");
  await until("the next image", () => imageMark(daemon.pid) !== before);
}
