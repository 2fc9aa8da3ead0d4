import { levelName, type LogLevel } from "./levels.ts";

/**
 * What a message is about, beside its text. Each becomes a journald field: `ownerPid` is LIBVIRT_OWNER_PID.
 * Other names may be added; values are kept as they are, newlines included.
 */
export interface LogFields {
  /** Name of the domain that owns, asks or is refused. */
  readonly domain?: string | undefined;
  readonly uuid?: string | undefined;
  readonly resource?: string | undefined;
  readonly lockspace?: string | undefined;
  readonly ownerPid?: number | undefined;
  readonly [name: string]: string | number | undefined;
}

/** One message on its way to the outputs. */
export interface LogEntry {
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly pid: number;
  readonly level: LogLevel;
  /** e.g. `locking.lock_daemon`. */
  readonly category: string;
  /** Source file, for CODE_FILE. */
  readonly file: string;
  /** One line, made by plainText. */
  readonly text: string;
  readonly fields: LogFields;
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
