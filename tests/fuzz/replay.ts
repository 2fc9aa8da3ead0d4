import { CoreFuzz } from "./core_fuzz.ts";
import { LiveFuzz } from "./live_fuzz.ts";
import { parseRecording } from "./seed_file.ts";

/** Where inputs are kept that once did harm. */
export const SEEDS = new URL("./seeds", import.meta.url);

/** Sends a kept input to what it did harm to. @throws Error when it still does */
export async function replay(file: URL | string): Promise<void> {
  const { target, pieces } = parseRecording(Deno.readTextFileSync(file));
  if (target === "core") {
    // The files' and processes' behaviour is part of the input: some of it comes up with one of these.
    for (let seed = 0; seed < 4; seed++) {
      using fuzz = new CoreFuzz(seed);
      fuzz.replay(pieces);
    }
    return;
  }
  await using fuzz = await LiveFuzz.start();
  await fuzz.replay(pieces);
}
