// `deno task bench`: our daemon beside Debian's virtlockd 9.0.0, alternating in one run; one table. See
// docs/performance.md.
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { linuxSys } from "../../src/os/linux.ts";
import { must } from "../../src/os/system_error.ts";
import { Bench, type Effort } from "./bench.ts";
import type { Line } from "./line.ts";
import { allowedCpus, Placement } from "./placement.ts";
import { rows } from "./rows.ts";
import { formatTable } from "./table.ts";

const FULL: Effort = { rounds: 5, sample: 500, scale: 1 };
const QUICK: Effort = { rounds: 1, sample: 150, scale: 16 };

const USAGE = `Usage: deno task bench [OPTION]... [ROW]...

Measures all rows, or those named.

  --quick          few and short samples, fewer clients: whether it works, not how fast
  --rounds N       samples of each daemon (default ${FULL.rounds})
  --json           the result as JSON instead of a table
  --apart          load and daemons on different CPUs instead of any
  --ours PATH      our daemon (default ./virtlockd)
  --theirs PATH    the daemon beside it (default /usr/sbin/virtlockd)
  --list           what the rows measure`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    json: { type: "boolean", default: false },
    ours: { type: "string", default: "virtlockd" },
    theirs: { type: "string", default: "/usr/sbin/virtlockd" },
    apart: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

function fail(message: string): never {
  console.error(`bench: error: ${message}`);
  Deno.exit(1);
}

async function main(): Promise<void> {
  if (values.help) return console.log(USAGE);
  if (values.list) return rows.forEach(({ name, summary }) => console.log(`${name.padEnd(14)}${summary}`));
  const unknown = positionals.find((name) => !rows.some((row) => row.name === name));
  if (unknown !== undefined) fail(`unknown row ${unknown}; --list names them`);
  const [ours, theirs] = [resolve(values.ours), resolve(values.theirs)];
  if (!existsSync(ours)) fail(`${ours} is missing: run deno task build first`);
  if (!existsSync(theirs)) fail(`${theirs} is missing: apt-get install libvirt-daemon`);
  const chosen = rows.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const effort = values.quick ? QUICK : FULL;
  const rounds = values.rounds === undefined ? effort.rounds : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) fail(`--rounds ${values.rounds} is not a whole number from 1`);

  const sys = linuxSys();
  // The daemons inherit it; one descriptor per connection and lock.
  const limit = sys.fileLimit();
  if (typeof limit === "number") return void must(limit, "getrlimit", "files");
  must(sys.setFileLimit(limit[1], limit[1]), "setrlimit", "files");
  const placement = new Placement(values.apart ? allowedCpus() : []);
  const bench = new Bench(sys, { ...effort, rounds }, placement, { name: "ours", program: ours }, {
    name: "9.0.0",
    program: theirs,
  });

  const setting = [
    `${cpus().length} CPUs (${cpus()[0]?.model}), ${placement.text}, at most ${limit[1]} descriptors`,
    `${rounds} samples of ${effort.sample} ms of each daemon in turn, medians; p50 and p99 in microseconds`,
    "daemon CPU: microseconds of the daemon for one operation, ours/9.0.0",
    "load CPU: share of the time in which the load process was on a CPU, with ours/with 9.0.0; below 100% it waited",
  ];
  const lines: Line[] = [];
  for (const row of chosen) {
    console.error(`${row.name}: ${row.summary}`);
    try {
      lines.push(...await row.run(bench));
    } catch (error) {
      // The other rows still tell something.
      console.error(`bench: error: row ${row.name}: ${error instanceof Error ? error.message : error}`);
      Deno.exitCode = 1;
    }
  }
  if (values.json) return console.log(JSON.stringify({ setting, lines }, null, 2));
  console.log([...setting, "", formatTable(lines)].join("\n"));
}

await main();
