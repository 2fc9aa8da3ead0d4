// `deno task fuzz`: see docs/testing.md.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Place } from "../support/place.ts";
import { Random } from "../support/random.ts";
import { copyProgram } from "../soak/built_program.ts";
import { CoreFuzz } from "./core_fuzz.ts";
import { DecoderFuzz } from "./decoder_fuzz.ts";
import { FuzzFailure, type FuzzOptions, type FuzzReport } from "./fuzz_run.ts";
import { LiveFuzz } from "./live_fuzz.ts";
import { SEEDS } from "./replay.ts";
import { StorageFuzz } from "./storage_fuzz.ts";

const USAGE = `Usage: deno task fuzz [OPTION]... [decoder|core|storage|live]...

Sends spoilt messages to the decoders, to a server in this process and to a real daemon (./virtlockd), or to those that
are named.

  --messages N   so many messages to each (default 1000000)
  --seconds T    at most so long at each (default: no limit)
  --seed S       what to send (default: a new seed, which is printed)
  --one-image    the real daemon never re-execs: its memory must stay as it is`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    messages: { type: "string", default: "1000000" },
    seconds: { type: "string", default: "Infinity" },
    seed: { type: "string", default: String(Random.freshSeed()) },
    "one-image": { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

const targets: Readonly<Record<string, (options: FuzzOptions) => Promise<FuzzReport>>> = {
  decoder: (options) => Promise.resolve(new DecoderFuzz().run(options)),
  core: (options) => {
    using fuzz = new CoreFuzz(options.seed);
    return Promise.resolve(fuzz.run(options));
  },
  storage: (options) => {
    using fuzz = new StorageFuzz(options.seed);
    return Promise.resolve(fuzz.run(options));
  },
  live: async (options) => {
    using place = Place.create();
    await using fuzz = await LiveFuzz.start({ place, program: copyProgram(place) });
    return await fuzz.run(options);
  },
};

/** A number of the command line. */
function number(name: "messages" | "seconds" | "seed"): number {
  const value = Number(values[name]);
  if (value >= 0) return value;
  console.error(`fuzz: error: --${name} ${values[name]} is not a number from 0`);
  Deno.exit(1);
}

async function main(): Promise<number> {
  const options = {
    messages: number("messages"),
    seconds: number("seconds"),
    seed: number("seed"),
    oneImage: values["one-image"],
  };
  console.log(`Seed ${options.seed}`);
  for (const name of positionals.length > 0 ? positionals : Object.keys(targets)) {
    const run = targets[name];
    if (run === undefined) {
      console.error(`fuzz: error: there is no '${name}' to fuzz; --help names them`);
      return 1;
    }
    try {
      const { messages, succeeded, seconds, reExecs, growth } = await run(options);
      console.log(
        `${name}: ${messages} messages in ${
          seconds.toFixed(1)
        } s, ${succeeded} of them succeeded, ${reExecs} re-execs`,
      );
      if (growth === undefined) continue;
      console.log(
        `own memory of the daemon: ${growth.from.toFixed(1)} MiB, then ${growth.to.toFixed(1)} MiB`,
      );
    } catch (error) {
      if (!(error instanceof FuzzFailure)) throw error;
      const directory = fileURLToPath(SEEDS);
      const file = `${directory}/${name}-${options.seed}.txt`;
      mkdirSync(directory, { recursive: true });
      writeFileSync(file, error.recording);
      console.error(`${error.message}\nKept as ${file}`, error.cause);
      return 1;
    }
  }
  return 0;
}

if (values.help) console.log(USAGE);
else Deno.exit(await main());
