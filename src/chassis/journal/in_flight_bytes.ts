import type { ByteOperation } from "./client_bytes.ts";

/** How many bytes of half-received messages and of unsent replies a snapshot would hold now. */
export class InFlightBytes {
  readonly #inputs = new Map<number, number>();
  readonly #outputs = new Map<number, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /** There are none: a snapshot begins. */
  restart(): void {
    this.#inputs.clear();
    this.#outputs.clear();
    this.#total = 0;
  }

  /** Follows what is recorded. */
  apply(operation: ByteOperation): void {
    switch (operation.op) {
      case "input":
        return this.#set(this.#inputs, operation.key, operation.bytes.length);
      case "added":
        return this.#set(this.#inputs, operation.key, this.#input(operation.key) + operation.bytes.length);
      case "served":
        if (operation.front === 0) return;
        return this.#set(this.#inputs, operation.key, this.#input(operation.key) - operation.front);
      case "output":
        return this.#set(this.#outputs, operation.key, operation.bytes.length);
      case "gone":
        this.#set(this.#inputs, operation.key, 0);
        this.#set(this.#outputs, operation.key, 0);
    }
  }

  #input(key: number): number {
    return this.#inputs.get(key) ?? 0;
  }

  #set(lengths: Map<number, number>, key: number, length: number): void {
    const before = lengths.get(key) ?? 0;
    if (length > 0) lengths.set(key, length);
    else if (before > 0) lengths.delete(key);
    else return;
    this.#total += Math.max(0, length) - before;
  }
}
