import { invariant } from "../../base/invariant.ts";
import type { Mapping } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import type { EventLoop } from "../event/event_loop.ts";
import type { Log } from "../log/log.ts";
import type { AnsweredRequest, Durability, DurableClient, InputBytes, Settled } from "../rpc/durability.ts";
import { type BegunReply, type Exchange, OUTPUT_SIZE } from "../rpc/exchange.ts";
import type { ByteOperation } from "./client_bytes.ts";
import type { SharedMemory } from "./journal_memory.ts";
import { EXCHANGE_OFFSET } from "./layout.ts";
import type { LogFile } from "./log_file.ts";
import { TurnEnd } from "./turn_end.ts";

/** Without memory for the log it is tried again after so many ms. */
const RETRY_MS = 1000;

/** A descriptor that is to outlive the process. It stays the caller's. */
export interface KeptObject {
  readonly name: string;
  readonly fd: number;
  /** See the descriptor store: whether it may lie in a queue with others. */
  readonly queued?: boolean;
}

/** Where descriptors outlive the process. */
export interface DescriptorKeeper {
  /** Whether everything that was asked for is done. */
  readonly idle: boolean;
  /** @returns whether `done` was called before this returns */
  store(wanted: readonly KeptObject[], done: () => void): boolean;
  /** @returns whether it was still to be sent; then it is not kept, and never was */
  cancel(name: string): boolean;
  remove(name: string): void;
  leave(done: (reason: string | undefined) => void): void;
}

/** What a durable log is made of. */
export interface DurableLogParts<O> {
  readonly memory: SharedMemory;
  readonly log: LogFile<O>;
  /** Absent where no service manager keeps descriptors: then no connection outlives the process. */
  readonly store: DescriptorKeeper | undefined;
  readonly loop: Pick<EventLoop, "defer" | "after" | "more">;
  readonly logger: Log;
}

/** What a log begins with and is written anew from. */
export interface Recording<O> {
  readonly exchange: Pick<Exchange, "promiseReply">;
  /** The daemon's whole state as operations. */
  readonly snapshot: () => Iterable<O>;
}

/** Where a log is in its life. */
type Life<O> =
  /** It holds what the last life of the daemon has left. */
  | { readonly kind: "idle" }
  | { readonly kind: "recording"; readonly recording: Recording<O> }
  /** There is no memory: what happens now is in the snapshot that ends the trouble, or lost. */
  | { readonly kind: "failed"; readonly recording: Recording<O>; readonly trouble: string }
  /** Emptied, because a daemon takes over that does not know it. */
  | { readonly kind: "left"; readonly recording: Recording<O> };

/** Taken out of the store when that is recorded. */
interface Removal {
  readonly name: string;
  /** Behind the message to the store its name may be used again. */
  readonly freed: () => void;
}

/** What happened since the last commit. */
interface Pending<O> {
  readonly operations: O[];
  readonly wanted: KeptObject[];
  readonly removed: Removal[];
  /** Clients whose connection is recorded with it. */
  readonly arriving: number[];
}

/**
 * Records what a daemon must know after it was killed, and has descriptors kept. Of what is recorded it knows
 * only the bytes of clients; the rest are the daemon's own operations.
 *
 * The order is: what was done, descriptor stored, record committed, reply sent. A request that changes
 * nothing costs nothing here.
 */
export class DurableLog<O> implements Durability {
  readonly #parts: DurableLogParts<O | ByteOperation>;
  #life: Life<O | ByteOperation> = { kind: "idle" };
  #pending: Pending<O | ByteOperation> = nothing();
  /** Clients whose descriptor is not stored yet. */
  readonly #arriving = new Set<number>();
  /** Without a store: what answers the requests of the batch, which are recorded together. */
  #settling: (() => void)[] = [];
  /** Removals of the batch: the service manager is woken once for all of them. */
  #removals: Removal[] = [];
  readonly #flushing: TurnEnd;
  readonly #forgetting: TurnEnd;
  /** Whether it is to be written anew. */
  #compacting = false;

  constructor(parts: DurableLogParts<O | ByteOperation>) {
    this.#parts = parts;
    this.#flushing = new TurnEnd(parts.loop, () => this.flush());
    this.#forgetting = new TurnEnd(parts.loop, () => this.forgetRemoved());
  }

  /** Descriptor of its memory; stays the log's. */
  get fd(): number {
    return this.#parts.memory.fd;
  }

  /** Where the exchange of the daemon has to be. */
  get exchangeMemory(): { memory: Mapping; offset: number } {
    return { memory: this.#parts.memory.fixed, offset: EXCHANGE_OFFSET };
  }

  /** Whether connections and descriptors outlive the process. */
  get keepsDescriptors(): boolean {
    return this.#parts.store !== undefined;
  }

  /** How it is, for the daemon's status. */
  get status(): { bytes: number; failed: string | undefined } {
    const { trouble } = this.#life.kind === "failed" ? this.#life : { trouble: undefined };
    return { bytes: this.#parts.log.length, failed: trouble };
  }

  /** Whether what happens now is recorded, or is to be. */
  get records(): boolean {
    return this.#life.kind === "recording" || this.#life.kind === "failed";
  }

  /**
   * Begins to record. Until now the log holds what the last life has left.
   *
   * @param wanted what the store has to have; what it has already is not sent again
   */
  begin(recording: Recording<O | ByteOperation>, wanted: readonly KeptObject[]): void {
    invariant(this.#pending.operations.length === 0, "Something is recorded before the log has begun");
    this.#life = { kind: "recording", recording };
    this.rewrite();
    this.#parts.store?.store(wanted, () => {});
  }

  /** The store has dropped what it had: it is stored again. @param wanted as of {@link begin} */
  fill(wanted: readonly KeptObject[]): void {
    this.flush();
    this.forgetRemoved();
    this.#parts.store?.store(wanted, () => {});
  }

  /** Something happened: it is recorded with the request that is being served, or at the end of the turn. */
  add(operation: O | ByteOperation): void {
    if (!this.records) return;
    this.#pending.operations.push(operation);
    this.#flushing.ask();
  }

  /** A descriptor is to be kept, before what is added next is recorded. */
  want(object: KeptObject): void {
    if (this.records && this.#parts.store !== undefined) this.#pending.wanted.push(object);
  }

  /**
   * A descriptor is closed: if it was not sent yet it must not be any more, else the store is to forget it.
   *
   * @param freed called when its name may be used again
   */
  drop(name: string, freed: () => void): void {
    const { wanted, removed } = this.#pending;
    const place = wanted.findIndex((each) => each.name === name);
    if (place >= 0) wanted.splice(place, 1);
    if (place >= 0 || this.#parts.store?.cancel(name) === true) freed();
    else removed.push({ name, freed });
  }

  /** A client has connected: its connection is recorded at once, because until then a crash ends it. */
  connected(key: number, operation: O, object: KeptObject): void {
    if (!this.records) return;
    if (this.#parts.store !== undefined) this.#arriving.add(key);
    this.#pending.arriving.push(key);
    this.want(object);
    this.add(operation);
    this.flush();
  }

  /** A client has gone. */
  disconnected(key: number): void {
    this.#arriving.delete(key);
    this.add({ op: "gone", key });
  }

  settle(request: AnsweredRequest, resume: (settled: "volatile" | "promised") => void): Settled {
    const life = this.#life;
    if (life.kind === "idle") return "volatile";
    const { store } = this.#parts;
    if (store === undefined) return this.#settleVolatile(resume);
    const { exchange } = life.recording;
    const { key, atOnce, length, turn, end } = request;
    invariant(end >= 0 && turn >= 0, "A request ends before its turn begins");
    const unchanged = this.#pending.operations.length === 0 && atOnce &&
      request.reply.length <= OUTPUT_SIZE && !this.#arriving.has(key);
    if (unchanged) return "volatile";
    const pending = this.#take();
    let reply = request.reply;
    let front = atOnce ? 0 : length;
    const commit = () =>
      this.#commitPending(pending, {
        op: "served",
        key,
        front,
        turn,
        end,
        reply: exchange.promiseReply(),
        bytes: reply,
      });
    let waited = false;
    const done = () => {
      commit();
      if (waited) resume("promised");
    };
    if (store.store(pending.wanted, done)) return "promised";
    waited = true;
    reply = reply.slice();
    // The exchange will serve others: by then the request is in the client's input.
    front = length;
    return "later";
  }

  inputChanged(client: DurableClient, turn: number, added?: InputBytes): void {
    if (!this.#keeps(client)) return;
    const { key } = client;
    if (added !== undefined) {
      const { bytes, dropped } = added;
      return this.#commit([{ op: "added", key, bytes, dropped, turn }]);
    }
    const { bytes, dropped } = client.unsettled;
    this.#commit([{ op: "input", key, bytes, dropped, turn }]);
  }

  outputChanged(client: DurableClient, { number: reply, turn, end }: BegunReply): void {
    if (!this.#keeps(client)) return;
    const { key, unsent: bytes } = client;
    this.#commit([{ op: "output", key, bytes, reply, turn, end }]);
  }

  /** Records what is not part of a request: now, or once what it needs is stored. */
  flush(): void {
    const { store } = this.#parts;
    const settling = this.#settling;
    this.#settling = [];
    if (this.#pending.operations.length > 0) {
      const pending = this.#take();
      const done = () => this.#commitPending(pending);
      if (store === undefined) done();
      else store.store(pending.wanted, done);
    }
    for (const resume of settling) resume();
  }

  /** Tells the store now what it has to forget; else that is done at the end of the batch. */
  forgetRemoved(): void {
    const removals = this.#removals;
    this.#removals = [];
    for (const { name, freed } of removals) {
      this.#parts.store?.remove(name);
      freed();
    }
  }

  /** Writes the whole state anew. */
  rewrite(): void {
    const life = this.#life;
    if (life.kind !== "recording" && life.kind !== "failed") return;
    this.#write(life, () => this.#parts.log.rewrite(life.recording.snapshot()));
  }

  /**
   * Takes everything out of the store and out of the log, because a daemon takes over that knows neither.
   *
   * @param done called when nobody keeps a copy of a descriptor any more, or with the reason why that is not
   *   certain
   */
  leave(done: (reason: string | undefined) => void): void {
    this.flush();
    this.forgetRemoved();
    const life = this.#life;
    if (life.kind !== "idle") {
      this.#write(life, () => this.#parts.log.rewrite([]));
      this.#life = { kind: "left", recording: life.recording };
    }
    if (this.#parts.store === undefined) done(undefined);
    else this.#parts.store.leave(done);
  }

  /** The other daemon did not take over after all: everything has to be stored again. */
  stay(wanted: readonly KeptObject[]): void {
    if (this.#life.kind === "left") this.begin(this.#life.recording, wanted);
  }

  /** The daemon ends and leaves the log to the next one. @param last recorded after everything else */
  finish(last: O): void {
    this.flush();
    this.forgetRemoved();
    this.#commit([last]);
  }

  /**
   * No connection outlives the process, so nothing is recorded of the reply, and several requests get one
   * record. Who sleeps is woken by each reply that finds it asleep: a burst wakes a process with many clients
   * once.
   */
  #settleVolatile(resume: (settled: "volatile") => void): Settled {
    if (this.#pending.operations.length === 0) return "volatile";
    if (this.#parts.loop.more) {
      this.#settling.push(() => resume("volatile"));
      return "later";
    }
    this.#commitPending(this.#take());
    return "volatile";
  }

  /** Whether a client's connection outlives the process. */
  #keeps({ closed }: DurableClient): boolean {
    return this.#life.kind !== "idle" && this.#parts.store !== undefined && !closed;
  }

  #take(): Pending<O | ByteOperation> {
    const pending = this.#pending;
    this.#pending = nothing();
    return pending;
  }

  #commitPending(
    { operations, removed, arriving }: Pending<O | ByteOperation>,
    served?: ByteOperation,
  ): void {
    this.#commit(served === undefined ? operations : [...operations, served]);
    for (const key of arriving) this.#arriving.delete(key);
    if (removed.length === 0) return;
    // Nobody waits for it: nothing is held through what the store still has.
    this.#removals.push(...removed);
    this.#forgetting.ask();
  }

  #commit(operations: readonly (O | ByteOperation)[]): void {
    const life = this.#life;
    switch (life.kind) {
      case "left":
        return;
      case "idle":
        invariant(operations.length === 0, "Something is committed before the log has begun");
        return;
      case "failed":
        // What could not be recorded is in the snapshot that ends the trouble.
        return this.#compactLater();
      case "recording":
        this.#write(life, () => this.#parts.log.append(operations));
        return this.#compactIfDue();
    }
  }

  #compactIfDue(): void {
    if (this.#life.kind === "failed" || this.#parts.log.overgrown) this.#compactLater();
  }

  /** At the end of the turn, when no reply is between its record and its first byte. */
  #compactLater(): void {
    if (this.#compacting) return;
    this.#compacting = true;
    const { loop, store } = this.#parts;
    const compact = () => {
      this.#compacting = false;
      this.flush();
      if (this.#pending.operations.length === 0 && (store?.idle ?? true)) this.rewrite();
      // Perhaps nothing is recorded for a long time now.
      else store?.store([], () => this.#compactIfDue());
    };
    if (this.#life.kind === "failed") loop.after(RETRY_MS, compact);
    else loop.defer(compact);
  }

  /**
   * Runs a write. Without memory the daemon goes on serving, and says that it is not safe against a crash.
   */
  #write(life: Exclude<Life<O | ByteOperation>, { kind: "idle" }>, write: () => void): void {
    const { log, logger } = this.#parts;
    const { recording } = life;
    try {
      write();
      if (life.kind !== "failed") return;
      logger.warn("The journal works again");
      this.#life = { kind: "recording", recording };
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (life.kind !== "failed") {
        log.fallBehind();
        logger.error(
          `The journal cannot be written, a crash would lose what happens now: ${error.message}`,
        );
      }
      this.#life = { kind: "failed", recording, trouble: error.message };
    }
  }
}

function nothing<O>(): Pending<O> {
  return { operations: [], wanted: [], removed: [], arriving: [] };
}
