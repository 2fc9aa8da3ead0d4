import { O_APPEND, O_CLOEXEC, O_CREAT, O_NOCTTY, O_NONBLOCK, O_WRONLY } from "../../os/constants.ts";
import type { Sys } from "../../os/sys.ts";
import { must } from "../../os/system_error.ts";
import { LineWriter } from "./line_writer.ts";
import { entryLine, type LogEntry } from "./log_entry.ts";
import type { LogDestination } from "./log_output.ts";

// Non-blocking for the sake of a path that turns out to be a named pipe or a terminal.
const FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
const MODE = 0o600;

/** A log file, appended to, made with mode 0600 when it is not there. */
export class FileOutput implements LogDestination {
  readonly #sys: Sys;
  readonly #path: string;
  readonly #lines = new LineWriter((bytes) => this.#sys.write(this.#fd, bytes));
  #fd: number;

  /** @throws SystemError (open, with the path as its subject) when the file cannot be opened */
  constructor(sys: Sys, path: string) {
    this.#sys = sys;
    this.#path = path;
    this.#fd = must(sys.open(path, FLAGS, MODE), "open", path);
  }

  send(entry: LogEntry): number {
    return this.#lines.send(entryLine(entry));
  }

  reopen(): number {
    const opened = this.#sys.open(this.#path, FLAGS, MODE);
    if (opened < 0) return opened;
    this.#sys.close(this.#fd);
    this.#fd = opened;
    this.#lines.reset();
    return 0;
  }

  close(): void {
    this.#sys.close(this.#fd);
    this.#fd = -1;
  }
}
