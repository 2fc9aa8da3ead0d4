// `deno task nemesis`: see docs/testing.md.
import { parseArgs } from "node:util";
import { Random } from "../support/random.ts";
import { History } from "./history.ts";
import { nemesis } from "./nemesis.ts";
import { VARIANTS } from "./variants.ts";

const USAGE = `Usage: deno task nemesis [OPTION]...

Guests on three hosts collide over a few disks, while members of etcd, links, daemons and the network between them are
killed, stopped and cut. A storage witness looks whether the write of an older holder ever arrives behind one of a newer
one; after each minute all guests are ended, and it is looked whether anything is left. Needs root.

  --minutes N     how long (default 10)
  --seed S        what happens (default: a new seed, which is printed)
  --history FILE  where every call and fault is written (default: in a new directory, which is printed when it is kept)
  --variant NAME  runs daemons that are made wrong on purpose: ${Object.keys(VARIANTS).join(", ")}`;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: String(Random.freshSeed()) },
    history: { type: "string" },
    variant: { type: "string", default: "none" },
    help: { type: "boolean", short: "h", default: false },
  },
});

async function main(): Promise<number> {
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
  const entry = VARIANTS[values.variant];
  if (!(minutes > 0) || entry === undefined) {
    console.error(`nemesis: error: --minutes ${values.minutes} --variant ${values.variant}: see --help`);
    return 2;
  }
  const directory = await Deno.makeTempDir({ prefix: "virtlockd-nemesis-" });
  // The processes of hosts are those of other users.
  await Deno.chmod(directory, 0o755);
  const path = values.history ?? `${directory}/history`;
  using history = new History(path);
  console.log(`Seed ${seed}`);
  const begun = performance.now();
  const counted = () =>
    [
      "granted",
      "refused",
      "unanswered",
      "lost",
      "guest lost",
      "released",
      "migration",
      "contest",
      "way back",
      "held up",
      "fault",
      "share freed by hand",
      "violation",
      "leak",
    ]
      .map((kind) => `${history.count(kind)} ${kind}`).join(", ");
  const { violations, leaks, blocks, faults } = await nemesis({
    seconds: minutes * 60,
    seed,
    entry,
    history,
    directory,
    round: () =>
      console.log(`${((performance.now() - begun) / 1000).toFixed(0).padStart(5)} s  ${counted()}`),
  });
  console.log(`${counted()}; ${blocks} blocks written`);
  for (const line of faults) console.log(line);
  for (const text of violations.slice(0, 10)) console.error(`Violation: ${text}`);
  for (const text of leaks) console.error(`Leak: ${text}`);
  if (violations.length + leaks.length > 0) {
    console.error(`What happened is in ${path}, the daemons' logs in ${directory}`);
    return 1;
  }
  await Deno.remove(directory, { recursive: true });
  return 0;
}

if (values.help) console.log(USAGE);
else Deno.exit(await main());
