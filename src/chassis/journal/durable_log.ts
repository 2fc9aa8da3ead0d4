import { invariant } from "../../base/invariant.ts";
import type { Mapping } from "../../os/sys.ts";
import type { EventLoop } from "../event/event_loop.ts";
import type { Log } from "../log/log.ts";
import type { AnsweredRequest, Durability, DurableClient, InputBytes, Settled } from "../rpc/durability.ts";
import { type BegunReply, OUTPUT_SIZE } from "../rpc/exchange.ts";
import type { ByteOperation } from "./client_bytes.ts";
import type { DescriptorKeeper, KeptObject } from "./descriptor_keeper.ts";
import type { SharedMemory } from "./journal_memory.ts";
import { EXCHANGE_OFFSET } from "./layout.ts";
import type { LogFile } from "./log_file.ts";
import { LogWriter, type Recording } from "./log_writer.ts";
import { type Changes, PendingChanges, type Removal } from "./pending_changes.ts";
import { TurnEnd } from "./turn_end.ts";

/** What a durable log is made of. */
export interface DurableLogParts<O> {
  readonly memory: SharedMemory;
  readonly log: LogFile<O>;
  /** Absent where no service manager keeps descriptors: then no connection outlives the process. */
  readonly store: DescriptorKeeper | undefined;
  readonly loop: Pick<EventLoop, "defer" | "after" | "more">;
  readonly logger: Log;
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
  readonly #writer: LogWriter<O | ByteOperation>;
  readonly #pending = new PendingChanges<O | ByteOperation>();
  /** Clients whose descriptor is not stored yet. */
  readonly #arriving = new Set<number>();
  /** Without a store: what answers the requests of the batch, which are recorded together. */
  #settling: (() => void)[] = [];
  /** Removals of the batch: the service manager is woken once for all of them. */
  #removals: Removal[] = [];
  readonly #flushing: TurnEnd;
  readonly #forgetting: TurnEnd;

  constructor(parts: DurableLogParts<O | ByteOperation>) {
    this.#parts = parts;
    this.#writer = new LogWriter({ ...parts, isWhole: (again) => this.#isWhole(again) });
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
    return { bytes: this.#parts.log.length, failed: this.#writer.trouble };
  }

  /** Whether what happens now is recorded, or is to be. */
  get records(): boolean {
    return this.#writer.records;
  }

  /**
   * Begins to record. Until now the log holds what the last life has left.
   *
   * @param wanted what the store has to have; what it has already is not sent again
   */
  begin(recording: Recording<O | ByteOperation>, wanted: readonly KeptObject[]): void {
    invariant(!this.#pending.any, "Something is recorded before the log has begun");
    this.#writer.begin(recording);
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
    this.#pending.add(operation);
    this.#flushing.ask();
  }

  /** A descriptor is to be kept, before what is added next is recorded. */
  want(object: KeptObject): void {
    if (this.records && this.#parts.store !== undefined) this.#pending.want(object);
  }

  /**
   * A descriptor is closed: if it was not sent yet it must not be any more, else the store is to forget it.
   *
   * @param freed called when its name may be used again
   */
  drop(name: string, freed: () => void): void {
    if (this.#pending.withdraw(name) || this.#parts.store?.cancel(name) === true) freed();
    else this.#pending.remove({ name, freed });
  }

  /** A client has connected: its connection is recorded at once, because until then a crash ends it. */
  connected(key: number, operation: O, object: KeptObject): void {
    if (!this.records) return;
    if (this.#parts.store !== undefined) this.#arriving.add(key);
    this.#pending.arrive(key);
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
    const { recording } = this.#writer;
    if (recording === undefined) return "volatile";
    const { store } = this.#parts;
    if (store === undefined) return this.#settleVolatile(resume);
    const { exchange } = recording;
    const { key, atOnce, length, turn, end } = request;
    invariant(end >= 0 && turn >= 0, "A request ends before its turn begins");
    const unchanged = !this.#pending.any && atOnce &&
      request.reply.length <= OUTPUT_SIZE && !this.#arriving.has(key);
    if (unchanged) return "volatile";
    const pending = this.#pending.take();
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
      return this.#writer.commit([{ op: "added", key, bytes, dropped, turn }]);
    }
    const { bytes, dropped } = client.unsettled;
    this.#writer.commit([{ op: "input", key, bytes, dropped, turn }]);
  }

  outputChanged(client: DurableClient, { number: reply, turn, end }: BegunReply): void {
    if (!this.#keeps(client)) return;
    const { key, unsent: bytes } = client;
    this.#writer.commit([{ op: "output", key, bytes, reply, turn, end }]);
  }

  /** Records what is not part of a request: now, or once what it needs is stored. */
  flush(): void {
    const { store } = this.#parts;
    const settling = this.#settling;
    this.#settling = [];
    if (this.#pending.any) {
      const pending = this.#pending.take();
      const done = () => this.#commitPending(pending);
      if (store === undefined) done();
      else store.store(pending.wanted, done);
    }
    for (const resume of settling) resume();
  }

  /** Calls `go` when all that was added until now is recorded, perhaps at once. */
  whenRecorded(go: () => void): void {
    this.flush();
    const { store } = this.#parts;
    if (store === undefined) go();
    else store.store([], go);
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

  /**
   * Takes everything out of the store and out of the log, because a daemon takes over that knows neither.
   *
   * @param done called when nobody keeps a copy of a descriptor any more, or with the reason why that is not
   *   certain
   */
  leave(done: (reason: string | undefined) => void): void {
    this.flush();
    this.forgetRemoved();
    this.#writer.leave();
    if (this.#parts.store === undefined) done(undefined);
    else this.#parts.store.leave(done);
  }

  /** The other daemon did not take over after all: everything has to be stored again. */
  stay(wanted: readonly KeptObject[]): void {
    const { kind, recording } = this.#writer;
    if (kind === "left" && recording !== undefined) this.begin(recording, wanted);
  }

  /** The daemon ends and leaves the log to the next one. @param last recorded after everything else */
  finish(last: O): void {
    this.flush();
    this.forgetRemoved();
    this.#writer.commit([last]);
  }

  /**
   * No connection outlives the process, so nothing is recorded of the reply, and several requests get one
   * record. Who sleeps is woken by each reply that finds it asleep: a burst wakes a process with many clients
   * once.
   */
  #settleVolatile(resume: (settled: "volatile") => void): Settled {
    if (!this.#pending.any) return "volatile";
    if (this.#parts.loop.more) {
      this.#settling.push(() => resume("volatile"));
      return "later";
    }
    this.#commitPending(this.#pending.take());
    return "volatile";
  }

  /** Whether a client's connection outlives the process. */
  #keeps({ closed }: DurableClient): boolean {
    return this.#writer.kind !== "idle" && this.#parts.store !== undefined && !closed;
  }

  /** Whether all is recorded and stored; if not, `again` is called when what is asked for now is. */
  #isWhole(again: () => void): boolean {
    const { store } = this.#parts;
    this.flush();
    if (!this.#pending.any && (store?.idle ?? true)) return true;
    store?.store([], again);
    return false;
  }

  #commitPending(
    { operations, removed, arriving }: Changes<O | ByteOperation>,
    served?: ByteOperation,
  ): void {
    this.#writer.commit(served === undefined ? operations : [...operations, served]);
    for (const key of arriving) this.#arriving.delete(key);
    if (removed.length === 0) return;
    // Nobody waits for it: nothing is held through what the store still has.
    this.#removals.push(...removed);
    this.#forgetting.ask();
  }
}
