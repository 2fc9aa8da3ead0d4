import { levelName, type LogLevel, syslogSeverity } from "./levels.ts";

/** A list is a field for each of its elements: an entry of the journal may have several of one name. */
export type LogFieldValue = string | number | readonly string[];

/**
 * What a message is about, beside its text, in the daemon's own names. Each becomes a journald field:
 * `clientPid` is LIBVIRT_CLIENT_PID. Values are kept as they are, newlines included.
 */
export interface LogFields {
  readonly [name: string]: LogFieldValue | undefined;
}

/** One message on its way to the outputs. */
export interface LogEntry {
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly pid: number;
  readonly level: LogLevel;
  /** e.g. `rpc.netserver`. */
  readonly category: string;
  /** Source file, for CODE_FILE. */
  readonly file: string;
  /** One line, made by plainText. */
  readonly text: string;
  /**
   * Shown as a notice by log services that know of such: it has the level of a warning so that it is not
   * left out.
   */
  readonly notice?: boolean;
  readonly fields: LogFields;
}

/** Severity of syslog(3): 7 debug, 6 info, 5 notice, 4 warning, 3 error. */
export function entrySeverity({ level, notice }: LogEntry): number {
  return notice === true ? 5 : syslogSeverity(level);
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/** LOG_DAEMON of syslog(3). */
export const SYSLOG_FACILITY = 3;

/** `PID: LEVEL : CATEGORY : TEXT`, the part that a file and syslog share. */
export function entryBody(entry: LogEntry): string {
  return `${entry.pid}: ${levelName(entry.level)} : ${entry.category} : ${entry.text}`;
}

/** A line of a log file with its newline (docs/behaviour.md, Logging). The time is UTC, in milliseconds. */
export function entryLine(entry: LogEntry): string {
  const time = new Date(entry.time).toISOString().replace("T", " ").replace("Z", "+0000");
  return `${time}: ${entryBody(entry)}\n`;
}

/** Time of day as RFC 3164 wants it, in local time: `Nov  5 09:08:07`. */
export function syslogTime(time: number): string {
  const date = new Date(time);
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) =>
    `${part}`.padStart(2, "0")
  );
  return `${MONTHS[date.getMonth()]} ${`${date.getDate()}`.padStart(2)} ${clock.join(":")}`;
}
