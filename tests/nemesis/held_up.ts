/**
 * A change of a lock that is to be held up on its way: the link of these runs (entries/link.ts) reads it from
 * a file, which it removes then.
 */
export interface HeldUp {
  readonly change: "acquire" | "release";
  /**
   * "there": etcd gets it so much later, perhaps when nobody waits for it any more; "back": the answer is so
   * late.
   */
  readonly way: "there" | "back";
  readonly ms: number;
}

/** The file, below the home of whom it is for. */
export const HELD_UP_FILE = "held-up";

/** Writes one down. @param home of the link */
export function writeHeldUp(home: string, heldUp: HeldUp): void {
  const path = `${home}/${HELD_UP_FILE}`;
  // Whoever reads it must not find half of it.
  Deno.writeTextFileSync(`${path}.new`, JSON.stringify(heldUp));
  Deno.renameSync(`${path}.new`, path);
}

/** Reads what was written. @returns undefined when there is nothing */
export function readHeldUp(home: string): HeldUp | undefined {
  try {
    const heldUp: HeldUp = JSON.parse(Deno.readTextFileSync(`${home}/${HELD_UP_FILE}`));
    return heldUp;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** It has been done: the next change is not held up. */
export function removeHeldUp(home: string): void {
  try {
    Deno.removeSync(`${home}/${HELD_UP_FILE}`);
  } catch (error) {
    // Another link of the same host was faster.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
