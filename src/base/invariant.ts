/** Something that the code relies on is not so: a defect of this program, never of what it was given. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/**
 * Says what the code that follows relies on. It costs a comparison, so it may stand on the way of a request.
 *
 * In a procedure the error is logged with its stack and answered as an internal error, and the daemon goes
 * on; a lock is never granted on the strength of something that is not so.
 *
 * @param text what is not so when `condition` is false, as a sentence
 * @throws InvariantError
 */
export function invariant(condition: boolean, text: string): asserts condition {
  if (!condition) throw new InvariantError(text);
}
