import type { JournalMemory } from "../../../../src/chassis/journal/journal_memory.ts";

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

/** Some bytes. */
export function bytesOf(...bytes: number[]): Uint8Array {
  return new Uint8Array(bytes);
}
