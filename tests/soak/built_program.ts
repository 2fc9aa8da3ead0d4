import { fileURLToPath } from "node:url";
import type { Place } from "../support/place.ts";

const PROGRAM = fileURLToPath(new URL("../../virtlockd", import.meta.url));

/**
 * Copies what `deno task build` has made into a place: it may be built anew during a long run, and a re-exec
 * would take that one.
 *
 * @returns path of the copy
 * @throws Deno.errors.NotFound when nothing was built
 */
export function copyProgram({ directory }: Place): string {
  const copy = `${directory}/virtlockd`;
  Deno.copyFileSync(PROGRAM, copy);
  return copy;
}
