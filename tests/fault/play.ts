import { kernel, lockOn } from "../support/kernel.ts";
import type { Sys } from "../../src/os/sys.ts";
import { EACCES, EAGAIN, ECONNRESET, EPIPE, strerror } from "../../src/os/errno.ts";
import { Actor } from "./actor.ts";
import { MINUTE_OF_TURNS, type Outcome, type Part, TURN } from "./scripted_client.ts";
import type { Fault } from "./fault_sys.ts";
import type { Stage } from "./stage.ts";

/** Pids that no process can have (PID_MAX_LIMIT is 4194304). */
const FIRST_PID = 1_800_000_000;

/** One way through the daemon: what is done under a fault, with what is needed before and undone after. */
export interface Path {
  readonly name: string;
  play(play: Play): Part<void>;
}

/** The daemon has ended the connection under a fault of the socket itself: the path ends there. */
export class ConnectionLost extends Error {}

/** Faults of a connection that a client's own end looks like: nobody needs to be told. */
const CLIENT_GONE: readonly number[] = [EPIPE, ECONNRESET];

/** One performance of a path: with a fault, or without to count the calls. */
export class Play {
  readonly stage: Stage;
  readonly lockspace: string;
  readonly socket: string;
  readonly #fault: Fault | undefined;
  readonly #actors: Actor[] = [];
  readonly #names = new Set<string>();
  #counts: ReadonlyMap<keyof Sys, number> = new Map();
  #fired = false;
  #pid = FIRST_PID;
  #log = 0;
  #outcome: Outcome | undefined;

  constructor(stage: Stage, fault: Fault | undefined) {
    this.stage = stage;
    this.#fault = fault;
    this.lockspace = `${stage.directory}/locks`;
    this.socket = `${stage.directory}/run/libvirt/virtlockd-sock`;
  }

  /** How often each call was made under the fault. */
  get counts(): ReadonlyMap<keyof Sys, number> {
    return this.#counts;
  }

  /** Whether the call that was to fail was made. */
  get fired(): boolean {
    return this.#fired;
  }

  /** Full path of a lease. */
  file(name: string): string {
    return `${this.lockspace}/${name}`;
  }

  /** A client whose process is its owner's; why there is none, which only a fault may be the reason of. */
  *connect(pid: number = ++this.#pid): Part<Actor | Outcome> {
    this.stage.processes.next = pid;
    const actor = new Actor(this.socket);
    this.#actors.push(actor);
    const outcome = yield* actor.register(pid);
    return outcome.kind === "ok" ? actor : outcome;
  }

  /** A client that must get through. */
  *client(pid?: number): Part<Actor> {
    if (this.#log === 0) this.#log = this.stage.logLength;
    const actor = yield* this.connect(pid);
    if (!(actor instanceof Actor)) throw new Error(`Connect and REGISTER: ${text(actor)}`);
    return actor;
  }

  /** Does something under the fault. */
  *act(what: Part<Outcome>): Part<Outcome> {
    const { faults } = this.stage;
    this.#log = this.stage.logLength;
    faults.arm(this.#fault);
    const outcome = yield* what;
    ({ counts: this.#counts, fired: this.#fired } = faults.disarm());
    if (outcome.kind === "silent") throw new Error("There was no answer");
    if (outcome.kind !== "ok" && !this.#fired) throw new Error(`Without a fault: ${text(outcome)}`);
    this.#outcome = outcome;
    if (outcome.kind === "closed") throw new ConnectionLost();
    return outcome;
  }

  /** Something that must succeed, whatever failed before. */
  *must(what: Part<Outcome>, doing: string): Part<void> {
    const outcome = yield* what;
    if (outcome.kind !== "ok") throw new Error(`${doing}: ${text(outcome)}`);
  }

  /** What the kernel has to say of a lease. @throws Error when it says something else */
  expect(name: string, wanted: "exclusive" | "shared" | "none" | "absent", when: string): void {
    const found = this.lockOn(name);
    if (found !== wanted && !(wanted === "none" && found === "absent")) {
      throw new Error(`${when}: the kernel's lock on '${name}' is ${found}, wanted ${wanted}`);
    }
  }

  /** The kernel's lock on a lease, seen from another descriptor. */
  lockOn(name: string): "exclusive" | "shared" | "none" | "absent" {
    this.#names.add(name);
    try {
      return lockOn(this.file(name)).mode;
    } catch (error) {
      if (error instanceof Error && error.message.includes("ENOENT")) return "absent";
      throw error;
    }
  }

  /** Waits for something that nobody is told of. @throws Error when it does not come */
  *until(what: string, condition: () => boolean): Part<void> {
    for (let turn = 0; !condition(); turn++) {
      if (turn > MINUTE_OF_TURNS) throw new Error(`Wait for ${what}: in vain`);
      yield TURN;
    }
  }

  /** Whether the fault was one that says that another host shares the lock. */
  get sharedElsewhere(): boolean {
    return this.#fault?.call === "ofdLock" && this.#fault.errno === EAGAIN;
  }

  /** Whether the fault was one that says that a process may not be looked at. */
  get unseen(): boolean {
    return this.#fault?.call === "open" && this.#fault.errno === EACCES;
  }

  /** What was logged under the fault and since. */
  get logged(): string {
    return this.stage.logSince(this.#log);
  }

  /** Ends all connections. */
  end(): void {
    for (const actor of this.#actors.splice(0)) actor.close();
  }

  /** Ends all connections and the processes behind them: no lock may be left. */
  *endAll(): Part<void> {
    this.end();
    yield TURN;
    for (let pid = FIRST_PID; pid <= this.#pid; pid++) this.stage.processes.end(pid);
    for (const name of this.#names) {
      yield* this.until(
        `'${name}' to go with its owner`,
        () => ["none", "absent"].includes(this.lockOn(name)),
      );
      kernel.unlink(this.file(name));
    }
    this.stage.processes.forget();
  }

  /**
   * Why the reason of a failure cannot be found in the answer or in the log; undefined when it can, or
   * nothing failed.
   */
  unexplained(): string | undefined {
    const outcome = this.#outcome;
    if (!this.#fired || this.#fault === undefined || outcome === undefined || outcome.kind === "ok") {
      return undefined;
    }
    const { call, errno } = this.#fault;
    if (outcome.kind === "closed" && CLIENT_GONE.includes(errno)) return undefined;
    // That is how the kernel says that somebody else has a lock.
    if (call === "ofdLock" && errno === EAGAIN) return undefined;
    const reason = strerror(errno);
    const { logged } = this;
    if (logged.includes(reason)) return undefined;
    if (outcome.kind === "refused" && outcome.message.includes(reason)) return undefined;
    return `${text(outcome)}, and neither that nor the log says '${reason}'; the log: ${logged}`;
  }
}

/** An outcome as people read it. */
export function text(outcome: Outcome): string {
  return outcome.kind === "refused" ? `refused (${outcome.code}): ${outcome.message}` : outcome.kind;
}
