/** Log levels as libvirt numbers them: 1 debug, 2 info, 3 warning, 4 error (docs/behaviour.md, Logging). */
export type LogLevel = 1 | 2 | 3 | 4;

/** Names of the levels, as they stand in a log line and in LIBVIRT_DEBUG. */
export type LevelName = "debug" | "info" | "warning" | "error";

export const DEBUG: LogLevel = 1;
export const INFO: LogLevel = 2;
export const WARNING: LogLevel = 3;
export const ERROR: LogLevel = 4;

/** Level that is used when nothing else is set. */
export const DEFAULT_LEVEL: LogLevel = WARNING;

const NUMBERS: Readonly<Record<LevelName, LogLevel>> = { debug: 1, info: 2, warning: 3, error: 4 };
const NAMES: Readonly<Record<LogLevel, LevelName>> = { 1: "debug", 2: "info", 3: "warning", 4: "error" };
const PRIORITIES: Readonly<Record<LogLevel, number>> = { 1: 7, 2: 6, 3: 4, 4: 3 };

/** Name of a level. */
export function levelName(level: LogLevel): LevelName {
  return NAMES[level];
}

/** Number of a level. */
export function levelNumber(name: LevelName): LogLevel {
  return NUMBERS[name];
}

/** Number of a level name; undefined for any other text. */
export function levelOfName(name: string): LogLevel | undefined {
  return Object.hasOwn(NUMBERS, name) ? NUMBERS[name as LevelName] : undefined;
}

/** A number as a level; undefined unless it is 1, 2, 3 or 4. */
export function levelOfNumber(number: number): LogLevel | undefined {
  return number === 1 || number === 2 || number === 3 || number === 4 ? number : undefined;
}

/**
 * Level at the head of a filter or an output. libvirt reads it with strtoul(3), so white space, a plus sign
 * and zeros may stand before the digit.
 */
export function parsePriority(text: string): LogLevel | undefined {
  const digit = /^[ \t\n\v\f\r]*\+?0*([1-4])$/.exec(text)?.[1];
  return digit === undefined ? undefined : levelOfNumber(Number(digit));
}

/** Value of LIBVIRT_DEBUG: exactly one digit 1..4, or a level's name. */
export function parseLevelSetting(text: string): LogLevel | undefined {
  return /^[1-4]$/.test(text) ? levelOfNumber(Number(text)) : levelOfName(text);
}

/** Severity of syslog(3) for a level: 7 debug, 6 info, 4 warning, 3 error. */
export function syslogSeverity(level: LogLevel): number {
  return PRIORITIES[level];
}
