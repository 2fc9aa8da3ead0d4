import { invariant } from "../../base/invariant.ts";
import { EXCHANGE_SIZE } from "../rpc/counted_exchange.ts";
import { InFlightBytes } from "./in_flight_bytes.ts";
import type { JournalMemory } from "./journal_memory.ts";
import {
  BEHIND_OFFSET,
  EXCHANGE_SIZE_OFFSET,
  LAYOUT_VERSION,
  LOG_START,
  MAGIC,
  MAGIC_OFFSET,
  OLDEST_READER,
  READER_OFFSET,
  WRITER_OFFSET,
} from "./layout.ts";
import { appendRecord, moveRecords, readRecords } from "./log_records.ts";
import type { LogFormat, RecordEncoder } from "./log_format.ts";
import { readRoot, type Root, writeRoot } from "./roots.ts";

/**
 * The log is written anew when it is longer than twice what its snapshot says of all but bytes, and what is
 * in flight, and this.
 */
const SLACK = 1024 * 1024;
/** Room that is left behind a log that was written anew. */
const ROOM = 256 * 1024;
/** Operations in one record of a snapshot: its text is built in memory. */
const SNAPSHOT_RECORD = 256;

/** The oldest layout that this program reads. */
const OLDEST_READABLE = 2;

/** A log that an earlier daemon has left, read to its end. */
export interface ReadLog<O> {
  readonly log: LogFile<O>;
  /** What is wrong with it; undefined when nothing is. */
  readonly damage: string | undefined;
}

/**
 * The log of a journal: records of operations behind a snapshot. What the operations mean is the daemon's
 * business, but for those about bytes of clients.
 */
export class LogFile<O> {
  readonly #memory: JournalMemory;
  readonly #format: LogFormat<O>;
  readonly #encoder: RecordEncoder<O>;
  readonly #inFlight = new InFlightBytes();
  /** What was in flight when the snapshot was written. */
  #inSnapshot = 0;
  #root: Root;
  #end: number;

  private constructor(
    memory: JournalMemory,
    format: LogFormat<O>,
    root: Root,
    end: number,
    encoder: RecordEncoder<O>,
  ) {
    invariant(end >= root.base, `A log from ${root.base} on does not end at ${end}`);
    this.#memory = memory;
    this.#format = format;
    this.#encoder = encoder;
    this.#root = root;
    this.#end = end;
  }

  /** Makes an empty journal. @throws SystemError when there is no memory */
  static create<O>(memory: JournalMemory, format: LogFormat<O>): LogFile<O> {
    memory.reserve(LOG_START + 16);
    memory.commitWord(MAGIC_OFFSET, 0);
    writeVersions(memory);
    memory.writeWord(EXCHANGE_SIZE_OFFSET, EXCHANGE_SIZE);
    memory.writeWord(BEHIND_OFFSET, 0);
    memory.writeWord(LOG_START, 0);
    const root = { generation: 1, base: LOG_START, snapshot: 0 };
    writeRoot(memory, root);
    memory.commitWord(MAGIC_OFFSET, MAGIC);
    return new LogFile(memory, format, root, LOG_START, format.encoder());
  }

  /**
   * Reads a journal that an earlier daemon has left. Changes nothing.
   *
   * @param apply gets each operation, in order
   * @returns the reason when it is none, or one that this program cannot read
   */
  static read<O>(
    memory: JournalMemory,
    format: LogFormat<O>,
    apply: (operation: O) => void,
  ): ReadLog<O> | string {
    const root = rootOf(memory);
    if (typeof root === "string") return root;
    const { bytes, size } = memory;
    const decoder = format.decoder();
    const { end, how } = readRecords(bytes, size, root.base, root.generation, (text, pieces) => {
      for (const operation of decoder.decode(text, pieces)) apply(operation);
    });
    const lost = end < root.base + root.snapshot
      ? "; it lies in the snapshot, so older records may be missing"
      : "";
    const damage = how.kind === "torn"
      ? `${how.reason}${lost}`
      : lost !== ""
      ? `it ends too early${lost}`
      : viewOf(memory).getUint32(BEHIND_OFFSET, true) !== 0
      ? "its daemon could not write to it any more, so later records may be missing"
      : undefined;
    return { damage, log: new LogFile(memory, format, root, end, decoder.encoder()) };
  }

  /**
   * Finds out only how far the log of an earlier image reaches, whose state is known better than from it. A
   * {@link rewrite} has to come before anything is appended.
   *
   * @returns the reason when it is none, or one that this program cannot read
   */
  static passOver<O>(memory: JournalMemory, format: LogFormat<O>): LogFile<O> | string {
    const root = rootOf(memory);
    if (typeof root === "string") return root;
    const { end } = readRecords(memory.bytes, memory.size, root.base, root.generation, undefined);
    return new LogFile(memory, format, root, end, format.encoder());
  }

  /** Says in the header that this program writes to it from now on. */
  claim(): void {
    writeVersions(this.#memory);
  }

  /** Says in the header, for whoever reads it after a crash, that something could not be written. */
  fallBehind(): void {
    this.#memory.commitWord(BEHIND_OFFSET, 1);
  }

  /**
   * Whether it is time to write it anew. Bytes in flight are in the log once as long as nothing has become of
   * them, however many they are: to copy them again and again would only cost memory.
   */
  get overgrown(): boolean {
    const settled = this.#root.snapshot - this.#inSnapshot;
    // An eighth on top of what is in flight: each piece of it has a head in the log, and is padded.
    return this.length > 2 * settled + this.#inFlight.total * 9 / 8 + SLACK;
  }

  /** Bytes of the log. */
  get length(): number {
    return this.#end - this.#root.base;
  }

  /**
   * Commits operations: all of them or none.
   *
   * @throws SystemError when there is no memory; then only a {@link rewrite} may follow
   */
  append(operations: readonly O[]): void {
    const payload = this.#encoder.encode(operations);
    this.#end = appendRecord(this.#memory, this.#end, this.#root.generation, payload);
    this.#follow(operations);
  }

  /**
   * Writes the log anew as a snapshot, and then makes that the log, in one step. Then, if there is room
   * before it, moves it there in another step, so that the journal is no longer than it must be.
   *
   * @param operations the whole state; a generator saves memory
   * @throws SystemError when there is no memory; the old log stays, but only a rewrite may follow
   */
  rewrite(operations: Iterable<O>): void {
    const memory = this.#memory;
    const before = memory.size;
    try {
      this.#writeAnew(operations);
    } catch (error) {
      // Of a file system that is full nothing is kept that is of no use.
      memory.shrink(before);
      throw error;
    }
    memory.shrink(this.#end + ROOM);
  }

  #writeAnew(operations: Iterable<O>): void {
    const memory = this.#memory;
    this.#encoder.restart();
    this.#inFlight.restart();
    const base = this.#end + 8;
    const end = this.#writeSnapshot(base, this.#root.generation + 1, operations);
    this.#use({ generation: this.#root.generation + 1, base, snapshot: end - base }, end);
    this.#inSnapshot = this.#inFlight.total;
    if (LOG_START + (end - base) + 8 <= base) {
      const generation = this.#root.generation + 1;
      const moved = moveRecords(memory, base, end, LOG_START, generation);
      this.#use({ generation, base: LOG_START, snapshot: moved - LOG_START }, moved);
    }
    memory.commitWord(BEHIND_OFFSET, 0);
  }

  /** Follows what is recorded. */
  #follow(operations: readonly O[]): void {
    for (const operation of operations) {
      const bytes = this.#format.bytesOf(operation);
      if (bytes !== undefined) this.#inFlight.apply(bytes);
    }
  }

  #use(root: Root, end: number): void {
    invariant(root.generation > this.#root.generation, `Log ${root.generation} is not a new one`);
    writeRoot(this.#memory, root);
    this.#root = root;
    this.#end = end;
  }

  #writeSnapshot(base: number, generation: number, operations: Iterable<O>): number {
    let at = base;
    let batch: O[] = [];
    const write = () => {
      at = appendRecord(this.#memory, at, generation, this.#encoder.encode(batch));
      this.#follow(batch);
      batch = [];
    };
    for (const operation of operations) {
      batch.push(operation);
      if (batch.length === SNAPSHOT_RECORD) write();
    }
    // Also when there is nothing: what lies here may be a record of an older log.
    write();
    return at;
  }
}

function writeVersions(memory: JournalMemory): void {
  memory.writeWord(WRITER_OFFSET, LAYOUT_VERSION);
  memory.writeWord(READER_OFFSET, OLDEST_READER);
}

function viewOf({ bytes }: JournalMemory): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The root of a journal; the reason when it is none, or one that this program cannot read. */
function rootOf(memory: JournalMemory): Root | string {
  const { bytes, size } = memory;
  if (size < LOG_START) return `it has ${size} bytes, at least ${LOG_START} are wanted`;
  const view = viewOf(memory);
  if (view.getUint32(MAGIC_OFFSET, true) !== MAGIC) return "it is no journal";
  const reader = view.getUint32(READER_OFFSET, true);
  const exchange = view.getUint32(EXCHANGE_SIZE_OFFSET, true);
  // Layout 1 was that of daemons which were never released.
  if (reader < OLDEST_READABLE || reader > LAYOUT_VERSION || exchange !== EXCHANGE_SIZE) {
    const wrote = Math.max(reader, view.getUint32(WRITER_OFFSET, true));
    return `it is of layout ${wrote}, for readers of layout ${reader} or later, with ${exchange} bytes for messages; ` +
      `this program reads layouts ${OLDEST_READABLE} to ${LAYOUT_VERSION} with ${EXCHANGE_SIZE} bytes`;
  }
  return readRoot(bytes, size) ?? "both of its roots are damaged";
}
