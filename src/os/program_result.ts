/** What a program said, or why it did not end by itself. */
export type ProgramResult =
  | { readonly kind: "ended"; readonly code: number; readonly output: string }
  | { readonly kind: "failed"; readonly reason: string };

/** How a process ended, by what waitpid(2) gives: with an exit code, or by a signal. wait(2), WIFSIGNALED. */
export type Ending =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "killed"; readonly signal: number };

/** Reads a wait status. */
export function endingOf(status: number): Ending {
  const signal = status & 0x7f;
  return signal === 0 ? { kind: "exited", code: (status >> 8) & 0xff } : { kind: "killed", signal };
}
