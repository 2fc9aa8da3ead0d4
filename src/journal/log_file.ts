import { EXCHANGE_SIZE } from "../rpc/counted_exchange.ts";
import { decodeOperations, encodeOperations, type Operation } from "./operations.ts";
import type { JournalMemory } from "./journal_memory.ts";
import { JournalState } from "./journal_state.ts";
import {
  EXCHANGE_SIZE_OFFSET,
  LAYOUT_VERSION,
  LOG_START,
  MAGIC,
  MAGIC_OFFSET,
  VERSION_OFFSET,
} from "./layout.ts";
import { appendRecord, readRecords } from "./log_records.ts";
import { readRoot, type Root, writeRoot } from "./roots.ts";

/** The log is written anew when it is longer than twice its snapshot and this. */
const SLACK = 1024 * 1024;
/** Operations in one record of a snapshot: a record is built in memory. */
const SNAPSHOT_RECORD = 256;

/** What was found in a journal. */
export interface FoundLog {
  readonly state: JournalState;
  /** What is wrong with it; undefined when nothing is. */
  readonly damage: string | undefined;
}

/** The log of a journal: records of operations behind a snapshot. */
export class LogFile {
  readonly #memory: JournalMemory;
  #root: Root;
  #end: number;

  private constructor(memory: JournalMemory, root: Root, end: number) {
    this.#memory = memory;
    this.#root = root;
    this.#end = end;
  }

  /** Makes an empty journal. @throws SystemError when there is no memory */
  static create(memory: JournalMemory): LogFile {
    memory.reserve(LOG_START + 16);
    memory.commitWord(MAGIC_OFFSET, 0);
    memory.writeWord(VERSION_OFFSET, LAYOUT_VERSION);
    memory.writeWord(EXCHANGE_SIZE_OFFSET, EXCHANGE_SIZE);
    memory.writeWord(LOG_START, 0);
    const root = { generation: 1, base: LOG_START, snapshot: 0 };
    writeRoot(memory, root);
    memory.commitWord(MAGIC_OFFSET, MAGIC);
    return new LogFile(memory, root, LOG_START);
  }

  /**
   * Reads a journal that an earlier daemon has left. Changes nothing.
   *
   * @returns the reason when it is none, or one that this program cannot read
   */
  static read(memory: JournalMemory): (FoundLog & { log: LogFile }) | string {
    const { bytes, size } = memory;
    if (size < LOG_START) return `it has ${size} bytes, at least ${LOG_START} are wanted`;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (view.getUint32(MAGIC_OFFSET, true) !== MAGIC) return "it is no journal";
    const version = view.getUint32(VERSION_OFFSET, true);
    const exchange = view.getUint32(EXCHANGE_SIZE_OFFSET, true);
    if (version !== LAYOUT_VERSION || exchange !== EXCHANGE_SIZE) {
      return `its layout is version ${version} with ${exchange} bytes for messages, wanted ${LAYOUT_VERSION} and ${EXCHANGE_SIZE}`;
    }
    const root = readRoot(bytes, size);
    if (root === undefined) return "both of its roots are damaged";
    const state = new JournalState();
    const { end, how } = readRecords(bytes, size, root.base, root.generation, (payload) => {
      for (const operation of decodeOperations(payload)) state.apply(operation);
    });
    const lost = end < root.base + root.snapshot
      ? "; it lies in the snapshot, so older locks may be missing"
      : "";
    const damage = how.kind === "torn"
      ? `${how.reason}${lost}`
      : lost === ""
      ? undefined
      : `it ends too early${lost}`;
    return { state, damage, log: new LogFile(memory, root, end) };
  }

  /** Whether it is time to write it anew. */
  get overgrown(): boolean {
    return this.#end - this.#root.base > 2 * this.#root.snapshot + SLACK;
  }

  /** Bytes of the log. */
  get length(): number {
    return this.#end - this.#root.base;
  }

  /** Commits operations: all of them or none. @throws SystemError when there is no memory */
  append(operations: readonly Operation[]): void {
    this.#end = appendRecord(
      this.#memory,
      this.#end,
      this.#root.generation,
      encodeOperations(operations),
    ) as number;
  }

  /**
   * Writes the log anew as a snapshot, and then makes that the log, in one step.
   *
   * @param operations the whole state
   * @throws SystemError when there is no memory; the old log stays
   */
  rewrite(operations: readonly Operation[]): void {
    const generation = this.#root.generation + 1;
    // Before the old log if there is room, else behind it.
    let base = LOG_START;
    let end = this.#root.base === LOG_START
      ? undefined
      : this.#writeSnapshot(base, generation, operations, this.#root.base);
    if (end === undefined) {
      base = this.#end + 8;
      end = this.#writeSnapshot(base, generation, operations, Infinity) as number;
    }
    const root = { generation, base, snapshot: end - base };
    writeRoot(this.#memory, root);
    this.#root = root;
    this.#end = end;
    this.#memory.shrink(end + SLACK);
  }

  #writeSnapshot(
    base: number,
    generation: number,
    operations: readonly Operation[],
    limit: number,
  ): number | undefined {
    let at: number | undefined = base;
    for (let index = 0; index < operations.length && at !== undefined; index += SNAPSHOT_RECORD) {
      const text = encodeOperations(operations.slice(index, index + SNAPSHOT_RECORD));
      at = appendRecord(this.#memory, at, generation, text, limit);
    }
    return at;
  }
}
