import type { EventLoop } from "../event/event_loop.ts";
import type { Durability } from "./durability.ts";
import type { Exchange } from "./exchange.ts";
import type { FrameCopies } from "./frame_copies.ts";
import type { InputBudget } from "./input_budget.ts";
import type { Program } from "./program.ts";

/** What was served, for metrics. */
export interface ServedObserver {
  /** @param code 0 for success, else the libvirt error code; `milliseconds` from dispatch to reply. */
  served(program: string, procedure: string, code: number, milliseconds: number): void;
}

/** What all connections of a server share. */
export interface ConnectionParts {
  readonly loop: EventLoop;
  readonly exchange: Exchange;
  readonly programs: readonly Program[];
  readonly observer: ServedObserver;
  readonly durability: Durability;
  readonly copies: FrameCopies;
  readonly budget: InputBudget;
  /** Names a client in the daemon's life, by its id. */
  readonly keyOf: (clientId: number) => number;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  /** The connection has ended: its descriptor may be closed now. */
  readonly ended: (clientId: number, reason: string) => void;
  /** An unforeseen exception in a procedure: logged, answered as an internal error. */
  readonly crashed: (clientId: number, error: unknown) => void;
}
