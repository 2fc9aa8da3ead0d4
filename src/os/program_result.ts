/** How a program ended. */
export type ProgramResult =
  | { readonly kind: "ended"; readonly code: number; readonly output: string }
  | { readonly kind: "failed"; readonly reason: string };

/**
 * How a program ended whose end was waited for.
 *
 * @param status as waitpid(2) gives it
 * @param output what it has written
 */
export function resultOf(status: number, output: string): ProgramResult {
  const signal = status & 0x7f;
  if (signal !== 0) return { kind: "failed", reason: `it was killed by signal ${signal}` };
  return { kind: "ended", code: (status >> 8) & 0xff, output };
}
