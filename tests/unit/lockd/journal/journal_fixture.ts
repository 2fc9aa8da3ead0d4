import type { JournalMemory } from "../../../../src/lockd/journal/journal_memory.ts";
import type { JournaledLock } from "../../../../src/lockd/journal/journaled_lock.ts";
import type { Operation } from "../../../../src/lockd/journal/operations.ts";
import type { HoldingRecord, OwnerRecord } from "../../../../src/lockd/journal/journaled_lock.ts";

/** A journal's memory that can tell what a kill after any of its writes would have left. */
export class RecordingMemory implements JournalMemory {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** Copies of the bytes, one after each write, while recording. */
  readonly steps: Uint8Array<ArrayBuffer>[] = [];
  recording = false;
  #view = new DataView(this.bytes.buffer);

  get size(): number {
    return this.bytes.length;
  }

  reserve(end: number): void {
    if (end <= this.size) return;
    const larger = new Uint8Array(Math.ceil(end / 4096) * 4096);
    larger.set(this.bytes);
    this.#use(larger);
    this.#step();
  }

  shrink(end: number): void {
    if (end >= this.size) return;
    this.#use(this.bytes.slice(0, Math.ceil(end / 4096) * 4096));
    this.#step();
  }

  writeText(at: number, text: string): number {
    const bytes = new TextEncoder().encode(text);
    this.writeBytes(at, bytes);
    return bytes.length;
  }

  /** In halves: a kill may come in the middle. */
  writeBytes(at: number, bytes: Uint8Array): void {
    const half = Math.floor(bytes.length / 2);
    this.bytes.set(bytes.subarray(0, half), at);
    this.#step();
    this.bytes.set(bytes.subarray(half), at + half);
    this.#step();
  }

  copyBytes(to: number, from: number, length: number): void {
    this.writeBytes(to, this.bytes.slice(from, from + length));
  }

  readWord(at: number): number {
    return this.#view.getInt32(at, true);
  }

  writeWord(at: number, value: number): void {
    this.#view.setInt32(at, value, true);
    this.#step();
  }

  commitWord(at: number, value: number): void {
    this.writeWord(at, value);
  }

  writeNumber(at: number, value: number): void {
    this.#view.setFloat64(at, value, true);
    this.#step();
  }

  /** A memory with a copy of some bytes. */
  static of(bytes: Uint8Array): RecordingMemory {
    const memory = new RecordingMemory();
    memory.#use(bytes.slice());
    return memory;
  }

  #use(bytes: Uint8Array<ArrayBuffer>): void {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  #step(): void {
    if (this.recording) this.steps.push(this.bytes.slice());
  }
}

/** An owner for tests. */
export function owner(pid: number, start = 1000 + pid): OwnerRecord {
  return { pid, name: `guest-${pid}`, uuid: "6ba7b810-9dad-41d1-80b4-000000000001", id: pid, start };
}

/** A holding for tests. */
export function holding(pid: number): HoldingRecord {
  return { owner: owner(pid), since: 1_700_000_000_000 };
}

/** What is to be different in a lock of a test. */
export type LockParts = Partial<JournaledLock["record"] & Omit<JournaledLock, "record">>;

/** A lock as a journal has it, in the slot of its number. */
export function journaled(id: number, { lock = "ofd", slot = id, ...parts }: LockParts = {}): JournaledLock {
  const record = {
    id,
    lockspace: "/leases",
    name: `r${id}`,
    path: `/leases/r${id}`,
    shared: false,
    autocreate: true,
    holdings: [holding(7)],
    state: { kind: "held" },
    ...parts,
  } as const;
  return { record, lock, slot };
}

/** The operation that grants it. */
export function grant(id: number, pid = 7, parts: LockParts = {}): Operation {
  return { op: "grant", ...journaled(id, { holdings: [holding(pid)], ...parts }) };
}

/** Some bytes. */
export function bytesOf(...bytes: number[]): Uint8Array {
  return new Uint8Array(bytes);
}
