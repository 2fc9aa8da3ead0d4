import { type ChildEnd, type ChildManner, type ChildParts, runChild } from "./child_run.ts";
import type { ChildCommand } from "./child_start.ts";

/**
 * Runs a program to its end; the caller waits, and the loop goes on with what else it watches. Nothing of the
 * program is left then. For processes that may hang: one that cannot be killed is waited for as well.
 *
 * @param between called whenever the loop has turned; when it throws the program is killed, and the error
 *   goes on to the caller once that is dead
 */
export function awaitChild(
  parts: ChildParts,
  command: ChildCommand,
  manner: ChildManner,
  between: () => void = () => {},
): ChildEnd {
  let end: ChildEnd | undefined;
  const run = runChild(parts, command, manner, (ended) => void (end = ended));
  try {
    while (end === undefined) {
      parts.loop.turn(-1);
      between();
    }
    return end;
  } finally {
    run.end("nobody waits for it any more");
  }
}
