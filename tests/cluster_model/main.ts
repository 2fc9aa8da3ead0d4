// `deno task model:cluster`: see docs/testing.md.
import { parseArgs } from "node:util";
import { Random } from "../support/random.ts";
import { playSeed } from "./histories.ts";
import type { Crippled } from "./played_etcd.ts";

const USAGE = `Usage: deno task model:cluster [OPTION]...

Plays random histories of hosts that lock disks in one etcd, with messages that are lost and delayed and daemons that
are killed, and looks whether two guests ever have one disk, and whether anything is left behind.

  --seconds T     how long (default 60)
  --seed S        the first seed; each history has the next (default: a new one, which is printed)
  --steps N       steps of a history (default 150)
  --reopens       people close the cluster and open it again, as for other directories
  --impatient     guests wait a second for etcd, and what comes of it later goes on behind the refusal
  --variant NAME  leaves a rule out, to see that it is noticed: no-epoch, release-unseen,
                  lease-is-proof, no-meta, no-marks, return-from-leaving, share-of-one,
                  fence-unseen, condemned-is-fenced`;

const VARIANTS: readonly Crippled[] = [
  "none",
  "no-epoch",
  "release-unseen",
  "lease-is-proof",
  "no-meta",
  "no-marks",
  "return-from-leaving",
  "share-of-one",
  "fence-unseen",
  "condemned-is-fenced",
];

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Random.freshSeed()) },
    steps: { type: "string", default: "150" },
    reopens: { type: "boolean", default: false },
    impatient: { type: "boolean", default: false },
    variant: { type: "string", default: "none" },
    help: { type: "boolean", short: "h", default: false },
  },
});

function main(): number {
  const [seconds, first, steps] = [Number(values.seconds), Number(values.seed), Number(values.steps)];
  const crippled = VARIANTS.find((name) => name === values.variant);
  if (crippled === undefined) {
    console.error(`model:cluster: there is no variant ${values.variant}`);
    return 2;
  }
  const { reopens, impatient } = values;
  const begun = performance.now();
  let [histories, grants, refusals] = [0, 0, 0];
  for (let seed = first; performance.now() - begun < seconds * 1000; seed++) {
    const history = playSeed({ hosts: 3, disks: 2, steps, crippled, reopens, impatient }, seed);
    histories++;
    grants += history.grants;
    refusals += history.refusals;
    if (history.violation === undefined) continue;
    console.error(`Seed ${seed}, after ${history.choices.length} choices: ${history.violation}`);
    console.error(history.choices.map(({ chosen, what }) => `${what} ${chosen}`).join(", "));
    return 1;
  }
  console.log(
    `${histories} histories of ${steps} steps from seed ${first}: ${grants} locks granted, ${refusals} refused, ` +
      "no disk had two guests, and nothing was left",
  );
  return 0;
}

if (values.help) console.log(USAGE);
else Deno.exit(main());
