import {
  O_APPEND,
  O_CLOEXEC,
  O_NOCTTY,
  O_NONBLOCK,
  O_WRONLY,
  S_IFCHR,
  S_IFMT,
  S_IFSOCK,
} from "../../os/constants.ts";
import { emptyStatus, type Sys } from "../../os/sys.ts";
import { LineWriter } from "./line_writer.ts";
import { entryLine, type LogEntry } from "./log_entry.ts";
import type { LogDestination } from "./log_output.ts";

const STDERR = 2;
const S_IFIFO = 0o010000;

/**
 * Standard error, without ever waiting for whoever reads it.
 *
 * O_NONBLOCK cannot be set on descriptor 2 itself: the shell and other programs share it. A pipe or a
 * terminal is opened a second time instead, a socket (systemd's StandardError=journal) is written with
 * send(2), and a file never blocks.
 */
export class StderrOutput implements LogDestination {
  readonly #sys: Sys;
  readonly #lines: LineWriter;
  /** A descriptor of our own for what descriptor 2 leads to, or -1 when descriptor 2 itself is used. */
  #own = -1;

  /** Looks at what descriptor 2 is now. Does not fail: what cannot be written is reported by {@link send}. */
  constructor(sys: Sys) {
    this.#sys = sys;
    const status = emptyStatus();
    const type = sys.fstat(STDERR, status) < 0 ? 0 : status.mode & S_IFMT;
    if (type === S_IFIFO || type === S_IFCHR) {
      const flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
      // Fails for a pipe that nobody reads any more and for another user's terminal: descriptor 2 must do
      // then.
      this.#own = Math.max(sys.open(`/proc/self/fd/${STDERR}`, flags, 0), -1);
    }
    this.#lines = type === S_IFSOCK
      ? new LineWriter((bytes) => sys.send(STDERR, bytes))
      : new LineWriter((bytes) => sys.write(this.#own < 0 ? STDERR : this.#own, bytes));
  }

  send(entry: LogEntry): number {
    return this.#lines.send(entryLine(entry));
  }

  /** Nothing to do: standard error has no name to open again. */
  reopen(): number {
    return 0;
  }

  close(): void {
    if (this.#own >= 0) this.#sys.close(this.#own);
    this.#own = -1;
  }
}
