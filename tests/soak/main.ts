// `deno task soak`: see docs/testing.md.
import { parseArgs } from "node:util";
import { Random } from "../support/random.ts";
import { growths, verdict } from "./samples.ts";
import { soak } from "./soak.ts";

const USAGE = `Usage: deno task soak [OPTION]...

Guests come and go, holders die, the daemon (./virtlockd) re-execs: memory and descriptors must stay as they are.

  --minutes M   how long (default 30)
  --load L      share of the time in which requests are sent, 0 to 1 (default 0.5)
  --seed S      what happens (default: a new seed, which is printed)`;

/** MiB by which memory may have grown: what the garbage collector leaves lying about differs by some. */
const TOLERANCE = 6;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    load: { type: "string", default: "0.5" },
    seed: { type: "string", default: String(Random.freshSeed()) },
    help: { type: "boolean", short: "h", default: false },
  },
});

async function main(): Promise<number> {
  const [minutes, load, seed] = [Number(values.minutes), Number(values.load), Number(values.seed)];
  if (!(minutes > 0) || !(load > 0 && load <= 1)) {
    console.error(
      `soak: error: --minutes ${values.minutes} --load ${values.load}: wanted above 0, and above 0 up to 1`,
    );
    return 1;
  }
  console.log(`Seed ${seed}`);
  const { samples, requests, holders } = await soak({
    seconds: minutes * 60,
    seed,
    load,
    sampled: ({ time, resident, own, descriptors, images }) =>
      console.log(
        `${time.toFixed(0).padStart(5)} s  ${resident.toFixed(1).padStart(6)} MiB  ${
          own.toFixed(1).padStart(6)
        } MiB own  ${descriptors} descriptors  ${images} re-execs`,
      ),
  });
  console.log(`${requests} requests, ${samples.at(-1)?.images} re-execs, ${holders} holders ended`);
  for (const { what, from, to } of growths(samples)) {
    console.log(`Own memory ${what}: ${from.toFixed(1)} MiB, then ${to.toFixed(1)} MiB`);
  }
  const wrong = verdict(samples, TOLERANCE);
  if (wrong !== undefined) console.error(wrong);
  return wrong === undefined ? 0 : 1;
}

if (values.help) console.log(USAGE);
else Deno.exit(await main());
