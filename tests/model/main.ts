// `deno task model`: see docs/testing.md.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Random } from "../support/random.ts";
import { runSequence, shrink } from "./sequence.ts";
import { type Mixture, randomSteps } from "./steps.ts";

const USAGE = `Usage: deno task model [OPTION]...

Lets random sequences of requests, disconnects, dying holders and re-execs happen to a daemon and to a model of it.

  --seconds T   how long (default 60)
  --seed S      the first seed; each sequence has the next (default: a new one, which is printed)
  --steps N     steps of a sequence (default 400)`;

const SEQUENCES = new URL("../integration/sequences", import.meta.url);
const SHRINK_LIMIT = 120_000;
const MIXTURES: readonly [Mixture, Mixture] = [
  { reExecs: 5, holders: 15 },
  { reExecs: 5, holders: 15, writes: 120 },
];

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Random.freshSeed()) },
    steps: { type: "string", default: "400" },
    help: { type: "boolean", short: "h", default: false },
  },
});

async function main(): Promise<number> {
  const [seconds, first, count] = [Number(values.seconds), Number(values.seed), Number(values.steps)];
  const begun = performance.now();
  let done = 0;
  for (let seed = first; performance.now() - begun < seconds * 1000; seed++, done++) {
    const steps = randomSteps(seed, count, MIXTURES[seed % 2 === 0 ? 0 : 1]);
    const difference = await runSequence(steps);
    if (difference === undefined) continue;
    console.error(`Seed ${seed}, step ${difference.step}: ${difference.error.message}\nShrinking ...`);
    const shortest = await shrink(steps.slice(0, difference.step + 1), SHRINK_LIMIT);
    const directory = fileURLToPath(SEQUENCES);
    const file = `${directory}/seed-${seed}.json`;
    mkdirSync(directory, { recursive: true });
    writeFileSync(file, `[\n${shortest.map((step) => `  ${JSON.stringify(step)}`).join(",\n")}\n]\n`);
    console.error(`${shortest.length} steps are left, kept as ${file}`);
    return 1;
  }
  console.log(`${done} sequences of ${count} steps from seed ${first}: no difference`);
  return 0;
}

if (values.help) console.log(USAGE);
else Deno.exit(await main());
