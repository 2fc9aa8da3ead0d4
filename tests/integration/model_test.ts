import { fail } from "node:assert/strict";
import { runSequence } from "../model/sequence.ts";
import { THOROUGH } from "../support/thorough.ts";
import { randomSteps, type Step } from "../model/steps.ts";

// `deno task model` runs longer and with other seeds.
const STEPS = 250;
const SEEDS = [1, 2, 3, 4];
/** With these holders end often, and each end takes its time. */
const SETTLING_SEEDS = THOROUGH ? SEEDS : [1, 2];
const MIXTURE = { reExecs: 5, holders: 15 };
/** Locks wait for the last writes of holders that have ended, and who asks for them waits too. */
const SETTLING = { reExecs: 5, holders: 15, writes: 120 };
const SEQUENCES = new URL("sequences/", import.meta.url);

async function agree(steps: readonly Step[]): Promise<void> {
  const difference = await runSequence(steps);
  if (difference !== undefined) fail(`Step ${difference.step}: ${difference.error.message}`);
}

for (const seed of SEEDS) {
  Deno.test(`Daemon and model agree after each of ${STEPS} random steps, seed ${seed}`, async () => {
    await agree(randomSteps(seed, STEPS, MIXTURE));
  });
}

for (const seed of SETTLING_SEEDS) {
  Deno.test(`Daemon and model agree where last writes are waited for, seed ${seed}`, async () => {
    await agree(randomSteps(seed, STEPS, SETTLING));
  });
}

for (const { name } of Deno.readDirSync(SEQUENCES)) {
  Deno.test(`Daemon and model agree on the kept sequence ${name}`, async () => {
    await agree(JSON.parse(Deno.readTextFileSync(new URL(name, SEQUENCES))));
  });
}
