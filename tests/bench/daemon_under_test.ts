import { closeSync, openSync } from "node:fs";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { ECONNREFUSED, ENOENT } from "../../src/os/errno.ts";
import type { Sys } from "../../src/os/sys.ts";
import { SystemError } from "../../src/os/system_error.ts";
import { Client } from "./load/client.ts";
import { lockspaceFrame } from "./load/frames.ts";
import type { Target } from "./load/task.ts";
import { Place } from "./place.ts";

/** A program that is measured. */
export interface Candidate {
  /** Column heading. */
  readonly name: string;
  readonly program: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** How long a daemon may take to start, in ms. */
const START_LIMIT = 20_000;

/** A daemon that runs in a place of its own. */
export class DaemonUnderTest {
  readonly candidate: Candidate;
  readonly target: Target;
  /** From the start of the process to its first reply, in milliseconds. */
  readonly startTime: number;
  readonly #process: ChildProcess;
  readonly #place: Place;

  private constructor(candidate: Candidate, child: ChildProcess, place: Place, startTime: number) {
    this.candidate = candidate;
    this.#process = child;
    this.#place = place;
    this.startTime = startTime;
    this.target = { socket: place.socket, pid: child.pid ?? 0, lockspace: place.lockspace };
  }

  /**
   * Starts a daemon and waits until it has answered a request.
   *
   * @param environment more variables for it, made from its place
   * @throws Error with the path of its log when it does not start
   */
  static async start(
    sys: Sys,
    candidate: Candidate,
    environment: (place: Place) => Record<string, string> = () => ({}),
  ): Promise<DaemonUnderTest> {
    const place = await Place.make();
    const env = {
      ...Deno.env.toObject(),
      ...place.environment,
      ...candidate.environment,
      ...environment(place),
    };
    askVersion(candidate.program, env);
    const log = openSync(place.logFile, "w");
    const [command, ...args] = [...place.prefix, candidate.program];
    const begun = sys.monotonic();
    const child = spawn(command as string, args, {
      stdio: ["ignore", log, log],
      env,
    });
    closeSync(log);
    const served = firstReply(sys, place, child, begun + START_LIMIT);
    if (served === undefined) {
      child.kill("SIGKILL");
      throw new Error(`Start ${candidate.program}: it does not serve; see ${place.logFile}`);
    }
    return new DaemonUnderTest(candidate, child, place, served - begun);
  }

  /** Kills it and removes its place. */
  async stop(): Promise<void> {
    const ended = once(this.#process, "exit");
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill("SIGKILL");
      await ended;
    }
    await this.#place.remove();
  }
}

const asked = new Set<string>();

/** Asks a program for its version once, as its package does: from then on its compiled code is at hand. */
function askVersion(program: string, env: Record<string, string>): void {
  if (asked.has(program)) return;
  asked.add(program);
  const { status } = spawnSync(program, ["--version"], { env, stdio: "ignore" });
  if (status !== 0) throw new Error(`Ask ${program} for its version: it ended with code ${status}`);
}

/** When the daemon has answered a first request; undefined when it has not in time. */
function firstReply(sys: Sys, place: Place, child: ChildProcess, limit: number): number | undefined {
  const nothing = sys.eventfd();
  try {
    while (sys.monotonic() < limit && child.exitCode === null) {
      try {
        const client = new Client(sys, place.socket);
        client.call(lockspaceFrame(place.lockspace));
        client.close();
        return sys.monotonic();
      } catch (error) {
        if (!(error instanceof SystemError) || ![ENOENT, ECONNREFUSED].includes(error.errno)) throw error;
        // There is nothing to wait for before the socket listens: try again in a millisecond.
        sys.pollReadable(nothing, 1);
      }
    }
    return undefined;
  } finally {
    sys.close(nothing);
  }
}
