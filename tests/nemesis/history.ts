/**
 * What a run does and sees, one JSON object on each line of a file, so that it can be looked at afterwards.
 */
export class History implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #begun = performance.now();
  readonly #counts = new Map<string, number>();

  constructor(path: string) {
    this.#file = Deno.openSync(path, { write: true, create: true, truncate: true });
  }

  /**
   * Writes an event down and counts it.
   *
   * @param kind what is counted, e.g. `grant`
   */
  add(kind: string, facts: Readonly<Record<string, unknown>> = {}): void {
    this.#counts.set(kind, this.count(kind) + 1);
    const at = Math.round(performance.now() - this.#begun);
    const line = new TextEncoder().encode(`${JSON.stringify({ at, ...facts, kind })}\n`);
    for (let done = 0; done < line.length;) done += this.#file.writeSync(line.subarray(done));
  }

  /** How often something happened. */
  count(kind: string): number {
    return this.#counts.get(kind) ?? 0;
  }

  /** Every kind with its count. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
