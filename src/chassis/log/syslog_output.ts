import type { Sys } from "../../os/sys.ts";
import { encodeText } from "../../os/text.ts";
import { DatagramSocket } from "./datagram_socket.ts";
import { entryBody, entrySeverity, type LogEntry, SYSLOG_FACILITY, syslogTime } from "./log_entry.ts";
import type { LogDestination } from "./log_output.ts";

/** The system log: `<PRI>TIME IDENT: PID: LEVEL : CATEGORY : TEXT` as a datagram, facility daemon. */
export class SyslogOutput implements LogDestination {
  readonly #ident: string;
  readonly #socket: DatagramSocket;

  /**
   * Connects when the first entry comes.
   *
   * @param path socket of the syslog service, `/dev/log`
   */
  constructor(sys: Sys, path: string, ident: string) {
    this.#ident = ident;
    this.#socket = new DatagramSocket(sys, path);
  }

  send(entry: LogEntry): number {
    const priority = SYSLOG_FACILITY * 8 + entrySeverity(entry);
    const text = `<${priority}>${syslogTime(entry.time)} ${this.#ident}: ${entryBody(entry)}`;
    return this.#socket.send(encodeText(text));
  }

  reopen(): number {
    this.#socket.close();
    return 0;
  }

  close(): void {
    this.#socket.close();
  }
}
