// `deno task bench`: our daemon beside Debian's virtlockd 9.0.0, alternating in one run; one table. See docs/performance.md.
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { linuxSys } from "../../src/os/linux.ts";
import { must } from "../../src/os/system_error.ts";
import { Bench, type Effort } from "./bench.ts";
import type { Line } from "./line.ts";
import { rows } from "./rows.ts";
import { formatTable } from "./table.ts";

const FULL: Effort = { rounds: 5, sample: 500, scale: 1 };
const QUICK: Effort = { rounds: 1, sample: 150, scale: 16 };

const USAGE = `Usage: deno task bench [OPTION]... [ROW]...

Measures all rows, or those named.

  --quick          few and short samples, fewer clients: whether it works, not how fast
  --rounds N       samples of each daemon (default ${FULL.rounds})
  --json           the result as JSON instead of a table
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
  const bench = new Bench(sys, { ...effort, rounds }, { name: "ours", program: ours }, {
    name: "9.0.0",
    program: theirs,
  });

  const lines: Line[] = [];
  for (const row of chosen) {
    console.error(`${row.name}: ${row.summary}`);
    lines.push(...await row.run(bench));
  }
  if (values.json) return console.log(JSON.stringify(lines, null, 2));
  console.log(
    `${cpus().length} CPUs, ${cpus()[0]?.model}; at most ${limit[1]} descriptors; ${rounds} samples of ` +
      `${effort.sample} ms of each daemon in turn, medians; p50 and p99 in microseconds; load CPU: share of the time that ` +
      `the load process was on a CPU, beside ours/9.0.0\n`,
  );
  console.log(formatTable(lines));
}

await main();
