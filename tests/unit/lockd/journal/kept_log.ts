import type { Log, LogMessage } from "../../../../src/chassis/log/log.ts";

/** A log that keeps what is written. */
export class KeptLog implements Log {
  readonly lines: string[] = [];
  readonly debug = (message: LogMessage) => this.#add("debug", message);
  readonly info = (message: LogMessage) => this.#add("info", message);
  readonly notice = (message: LogMessage) => this.#add("notice", message);
  readonly warn = (message: LogMessage) => this.#add("warning", message);
  readonly error = (message: LogMessage) => this.#add("error", message);

  enabled(): boolean {
    return true;
  }

  #add(level: string, message: LogMessage): void {
    this.lines.push(`${level}: ${typeof message === "string" ? message : message()}`);
  }
}
