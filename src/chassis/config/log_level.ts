/** How severe a message is: 1 debug, 2 info, 3 warning, 4 error. As a limit, what is below it is left out. */
export type LogLevel = 1 | 2 | 3 | 4;

/** Whether an integer is one of the four levels. */
export function isLogLevel(value: number): value is LogLevel {
  return Number.isInteger(value) && value >= 1 && value <= 4;
}
