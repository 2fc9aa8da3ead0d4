import type { EventLoop, Timer } from "../../../chassis/event/event_loop.ts";
import type { Endpoints } from "../../../etcd/wire/link_messages.ts";
import { FenceClient, type FenceClientParts } from "./fence_client.ts";
import { FENCE_PROTOCOL, type FenceEnd, type FenceStage } from "./fence_messages.ts";
import type { FencingWishes } from "./fencing_wishes.ts";

/** How long nothing may have been heard of a host that is fenced, in ms: by the reads of whoever does it. */
const SILENCE_MS = 60_000;
/** Pauses before it is tried again, in ms: the last one goes on. */
const PAUSES_MS = [30_000, 60_000, 120_000, 300_000, 600_000];
/** Pause where something else has to end first, and before an answer is asked for anew, in ms. */
const LATER_MS = 60_000;

/**
 * For so long after somebody has asked it is tried, in ms: what nobody asks for any more is no reason to turn
 * a host off, when etcd, the network or the program work again hours later.
 */
const WANTED_MS = 3_600_000;

/** A host that is not heard of, and whose lock somebody asks for. */
export interface SilentHost {
  readonly session: string;
  readonly name: string;
}

/** How far the fencing of a host is: part of the status document, see docs/json.md. */
export interface FencingHost {
  readonly host: string;
  readonly session: string;
  /** "waiting": for its turn, or for `reason`; "failed": it is tried again. */
  readonly state: "waiting" | "failed" | FenceStage;
  /** Since when it is wanted, Unix milliseconds. */
  readonly sinceMs: number;
  /** How often it has failed. */
  readonly failures: number;
  readonly reason?: string;
}

/** Hosts that are fenced by a program: part of the status document. */
export interface FencingStatus {
  readonly command: string;
  /** Why the program cannot be run. */
  readonly fault?: string;
  readonly hosts: readonly FencingHost[];
  /** Hosts that were fenced, and tries that have failed, since the daemon was started. */
  readonly fenced: number;
  readonly failures: number;
}

/** Told of what becomes of hosts that are to be fenced by a program. */
export interface HostFencingObserver {
  /** The program that is to do it cannot be run. */
  fenceCommandUnusable(reason: string): void;
  fencingBegun(host: string, reason: string): void;
  /** Nothing is wrong, but it is not the time: told once for each reason. */
  fencingWaits(host: string, reason: string): void;
  /** @param pauseMs until it is tried again */
  fencingFailed(host: string, reason: string, pauseMs: number): void;
  fencingOver(host: string, reason: string): void;
  fencingDone(host: string, command: string, freed: number): void;
}

/** What fencing hosts by a program needs. */
export interface HostFencingParts extends FenceClientParts {
  readonly loop: FenceClientParts["loop"] & Pick<EventLoop, "after">;
  /** Program that does it, as it is configured now; undefined: only people fence. */
  readonly command: () => string | undefined;
  /** How long that may take, in ms. */
  readonly limit: () => number;
  /** Why a program cannot be run; undefined: it can. */
  readonly wrongWith: (program: string) => string | undefined;
  readonly cluster: string;
  /** Socket of the link with etcd. */
  readonly link: string;
  readonly endpoints: Endpoints;
  /** This host's name. */
  readonly from: string;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly observer: HostFencingObserver;
}

interface Wanted {
  readonly name: string;
  readonly since: number;
  readonly reason: string;
  state: FencingHost["state"];
  failures: number;
  told: string | undefined;
  /** When somebody has asked last, and when it is tried, by the monotonic clock. */
  asked: number;
  due: number;
}

/**
 * Has hosts fenced that are not heard of and whose locks somebody asks for, by the program that is
 * configured: one at a time, each in a process of its own. What that finds and does is not trusted to this
 * host's memory: it is written to etcd by the process, or it has not happened.
 */
export class HostFencing {
  readonly #parts: HostFencingParts;
  readonly #wanted = new Map<string, Wanted>();
  /** Sessions of which it is settled that nothing is to be done, and until when that is not asked again. */
  readonly #settled = new Map<string, number>();
  #current: { readonly session: string; readonly client: FenceClient } | undefined;
  #timer: Timer | undefined;
  #fenced = 0;
  #failures = 0;
  #fault: string | undefined;

  constructor(parts: HostFencingParts) {
    this.#parts = parts;
  }

  /** Undefined where no program is configured. */
  get status(): FencingStatus | undefined {
    const command = this.#parts.command();
    if (command === undefined) return undefined;
    return {
      command,
      ...this.#fault === undefined ? {} : { fault: this.#fault },
      hosts: [...this.#wanted].map(([session, { name, state, since, failures, told }]) => ({
        host: name,
        session,
        state,
        sinceMs: since,
        failures,
        ...told === undefined ? {} : { reason: told },
      })),
      fenced: this.#fenced,
      failures: this.#failures,
    };
  }

  /** What the next image of the daemon goes on with; undefined: nobody is to be fenced. */
  get wishes(): FencingWishes | undefined {
    if (this.#wanted.size === 0) return undefined;
    const hosts = [...this.#wanted].map(([session, { name, since, reason, failures, asked }]) => ({
      session,
      name,
      since,
      reason,
      failures,
      asked: Math.floor(asked),
    }));
    return { cluster: this.#parts.cluster, hosts };
  }

  /** Takes over what an earlier image was asked for: {@link refresh} begins with it. */
  resume({ cluster, hosts }: FencingWishes): void {
    // Sessions of another cluster are nobody's here.
    if (cluster !== this.#parts.cluster) return;
    for (const { session, ...wish } of hosts) {
      this.#wanted.set(session, { ...wish, state: "waiting", told: undefined, due: wish.asked });
    }
  }

  /** The configuration was read: the program may be another one, or none. */
  refresh(): void {
    const command = this.#parts.command();
    this.#fault = command === undefined ? undefined : this.#parts.wrongWith(command);
    if (this.#fault !== undefined) this.#parts.observer.fenceCommandUnusable(this.#fault);
    if (command === undefined) return this.close();
    // What has failed may work now.
    for (const wanted of this.#wanted.values()) wanted.due = this.#parts.clock();
    this.#next();
  }

  /** Somebody asks for a lock of a host that is not heard of. @param reason who asks for what */
  asked({ session, name }: SilentHost, reason: string): void {
    const { command, clock, now } = this.#parts;
    if (command() === undefined) return;
    const wanted = this.#wanted.get(session);
    if (wanted !== undefined) {
      wanted.asked = clock();
      return;
    }
    const settled = this.#settled.get(session);
    if (settled !== undefined && settled > clock()) return;
    this.#settled.delete(session);
    this.#wanted.set(session, {
      name,
      since: now(),
      reason,
      state: "waiting",
      failures: 0,
      told: undefined,
      asked: clock(),
      due: clock(),
    });
    this.#next();
  }

  /** Nobody is fenced any more, but whom a program is just being run for. */
  close(): void {
    this.#timer?.cancel();
    this.#current?.client.close();
    this.#current = undefined;
    this.#wanted.clear();
  }

  /** Begins with the host that is due first, if nobody is being fenced. */
  #next(): void {
    if (this.#current !== undefined) return;
    this.#timer?.cancel();
    const [first] = [...this.#wanted].sort(([, a], [, b]) => a.due - b.due);
    if (first === undefined) return;
    const [session, wanted] = first;
    const left = wanted.due - this.#parts.clock();
    if (left > 0) this.#timer = this.#parts.loop.after(left, () => this.#next());
    else this.#begin(session, wanted);
  }

  #begin(session: string, wanted: Wanted): void {
    const { command, limit, cluster, link, endpoints, from, observer, clock } = this.#parts;
    if (clock() - wanted.asked > WANTED_MS) {
      this.#wanted.delete(session);
      observer.fencingOver(wanted.name, "nobody has asked for a lock of it for an hour");
      return this.#next();
    }
    const program = command();
    if (program === undefined) return this.close();
    const task = {
      protocol: FENCE_PROTOCOL,
      cluster,
      link,
      endpoints,
      session,
      from,
      reason: wanted.reason,
      command: program,
      silenceMs: SILENCE_MS,
      limitMs: limit(),
    };
    const client = new FenceClient(this.#parts, task, {
      stage: (stage) => {
        wanted.state = stage;
        if (stage === "condemned") observer.fencingBegun(wanted.name, wanted.reason);
      },
      ended: (end) => {
        this.#current = undefined;
        this.#ended(session, wanted, end, program);
        this.#next();
      },
    });
    this.#current = { session, client };
  }

  #ended(session: string, wanted: Wanted, end: FenceEnd, program: string): void {
    const { observer, clock } = this.#parts;
    const { name } = wanted;
    switch (end.kind) {
      case "fenced":
        this.#settle(session);
        this.#fenced++;
        return observer.fencingDone(name, program, end.freed);
      case "over":
        this.#settle(session);
        return observer.fencingOver(name, end.reason);
      case "later":
        if (wanted.told !== end.reason) observer.fencingWaits(name, end.reason);
        wanted.state = "waiting";
        wanted.told = end.reason;
        wanted.due = clock() + LATER_MS;
        return;
      case "failed": {
        const pause = PAUSES_MS[Math.min(wanted.failures, PAUSES_MS.length - 1)] ?? LATER_MS;
        this.#failures++;
        wanted.failures++;
        wanted.state = "failed";
        wanted.told = end.reason;
        wanted.due = clock() + pause;
        return observer.fencingFailed(name, end.reason, pause);
      }
    }
  }

  #settle(session: string): void {
    const now = this.#parts.clock();
    this.#wanted.delete(session);
    for (const [other, until] of this.#settled) if (until <= now) this.#settled.delete(other);
    this.#settled.set(session, now + LATER_MS);
  }
}
