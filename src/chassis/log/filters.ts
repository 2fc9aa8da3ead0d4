import { Glob } from "./glob.ts";
import { type LogLevel, parsePriority } from "./levels.ts";
import { LogConfigError } from "./log_config_error.ts";

/** One filter: categories that contain `match` are logged from `level` up. */
export interface LogFilter {
  readonly level: LogLevel;
  /** The pattern as it was given, without the stars that libvirt puts around it. */
  readonly match: string;
  readonly pattern: Glob;
}

/**
 * Reads a filter list: `N:match` separated by spaces. A `+` before the match asked older libvirt for a stack
 * trace; it is accepted and dropped, as is anything after a second colon.
 *
 * @throws LogConfigError naming the filter that is wrong, in the words of libvirt 9.0.0
 */
export function parseFilters(text: string): LogFilter[] {
  return text.split(" ").filter((item) => item !== "").map(parseFilter);
}

function parseFilter(text: string): LogFilter {
  const [priority, match] = text.split(":");
  if (priority === undefined || match === undefined) {
    throw new LogConfigError(`Malformed format for filter '${text}'`);
  }
  const level = parsePriority(priority);
  if (level === undefined) throw new LogConfigError(`Invalid priority '${priority}' for filter '${text}'`);
  if (match === "" || match === "+") throw new LogConfigError(`Invalid match string '${match}'`);
  const plain = match.startsWith("+") ? match.slice(1) : match;
  return { level, match: plain, pattern: new Glob(`*${plain}*`) };
}

/** A filter list as libvirt prints it: `2:*a* 3:*b* `, with a space after each; empty when there is none. */
export function formatFilters(filters: readonly LogFilter[]): string {
  return filters.map(({ level, match }) => `${level}:*${match}* `).join("");
}

/** A filter list as {@link parseFilters} reads it: what it reads again is the same list. */
export function unparseFilters(filters: readonly LogFilter[]): string {
  // A `+` in front is dropped by the reader, so one that belongs to the match needs another.
  return filters.map(({ level, match }) => `${level}:${match.startsWith("+") ? "+" : ""}${match}`).join(" ");
}

/** Lowest level that is logged for a category: that of the first filter that matches, else `otherwise`. */
export function categoryLevel(
  filters: readonly LogFilter[],
  category: string,
  otherwise: LogLevel,
): LogLevel {
  return filters.find(({ pattern }) => pattern.matches(category))?.level ?? otherwise;
}
