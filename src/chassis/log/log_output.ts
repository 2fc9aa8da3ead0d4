import { strerror } from "../../os/errno.ts";
import { WARNING } from "./levels.ts";
import type { LogEntry } from "./log_entry.ts";
import type { OutputSpec } from "./outputs.ts";

/** A place that takes log entries. None of its methods blocks or throws. */
export interface LogDestination {
  /** @returns 0, or -errno when the entry was not taken */
  send(entry: LogEntry): number;
  /** Opens the destination anew (log rotation). @returns 0, or -errno when the old one stays in use */
  reopen(): number;
  /** Frees the descriptors. The destination is not used afterwards. */
  close(): void;
}

/**
 * One configured output: a destination, and from which level up it is used.
 *
 * What the destination does not take is lost, never waited for. The number of lost messages is written as one
 * line as soon as the destination takes messages again.
 */
export class LogOutput {
  readonly spec: OutputSpec;
  readonly #destination: LogDestination;
  #lost = 0;
  #reason = 0;

  /** @param destination owned by this output from now on */
  constructor(spec: OutputSpec, destination: LogDestination) {
    this.spec = spec;
    this.#destination = destination;
  }

  /** Writes an entry, unless its level is below that of the output. */
  write(entry: LogEntry): void {
    if (entry.level < this.spec.level) return;
    const loss = this.loss();
    if (loss !== undefined) {
      const result = this.#destination.send(lossNotice(entry, loss));
      if (result < 0) return this.#lose(result);
      this.#lost = 0;
    }
    const result = this.#destination.send(entry);
    if (result < 0) this.#lose(result);
  }

  /** How many messages were lost and not reported yet, and why; undefined when none was. */
  loss(): string | undefined {
    return this.#lost === 0 ? undefined : `${this.#lost}, last reason: ${strerror(this.#reason)}`;
  }

  /** Opens the destination anew. @returns 0, or -errno when the old one stays in use */
  reopen(): number {
    return this.#destination.reopen();
  }

  close(): void {
    this.#destination.close();
  }

  #lose(result: number): void {
    this.#lost += 1;
    this.#reason = -result;
  }
}

function lossNotice({ time, pid }: LogEntry, loss: string): LogEntry {
  const text = `Messages lost on this output: ${loss}`;
  return {
    time,
    pid,
    level: WARNING,
    category: "util.log",
    file: "src/chassis/log/log_output.ts",
    text,
    fields: {},
  };
}
