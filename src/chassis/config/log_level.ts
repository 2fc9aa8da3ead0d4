/** How severe a message is: 1 debug, 2 info, 3 warning, 4 error. As a limit, what is below it is left out. */
export type LogLevel = 1 | 2 | 3 | 4;

const LEVELS: ReadonlyMap<string, LogLevel> = new Map([
  ["1", 1],
  ["2", 2],
  ["3", 3],
  ["4", 4],
  ["debug", 1],
  ["info", 2],
  ["warning", 3],
  ["error", 4],
]);

/** The level that LIBVIRT_DEBUG spells, as a digit or as a lower-case name; undefined for any other text. */
export function parseLogLevel(text: string): LogLevel | undefined {
  return LEVELS.get(text);
}

/** Whether an integer is one of the four levels. */
export function isLogLevel(value: number): value is LogLevel {
  return Number.isInteger(value) && value >= 1 && value <= 4;
}
