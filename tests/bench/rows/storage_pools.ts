import { setTimeout } from "node:timers/promises";
import { runOk } from "../../e2e/support/command.ts";
import { StoragePeer } from "../../e2e/support/storage_peer.ts";
import { processMemory } from "../../support/process_usage.ts";
import { until } from "../../support/until.ts";
import type { Figure, Line } from "../line.ts";
import type { Row } from "../row.ts";

const POOLS = 50;
const VOLUMES = 400;
/** Most MB without a pool, and with all of them. */
const IDLE_LIMIT = 60;
const FULL_LIMIT = 200;
/** A helper goes after a minute without work; ms that it is waited for. */
const HELPERS_GO = 120_000;
/** Ms between two looks while much goes on. */
const LOOK = 20;

/** One virsh defines and starts them all. */
const SET_UP = `
cd "$1"
for p in $(seq ${POOLS}); do
  mkdir "p$p"
  seq -f "p$p/v%g" ${VOLUMES} | xargs truncate -s 1M
  echo "pool-define-as p$p dir --target $1/p$p; pool-start p$p;"
done >commands
virsh -q -c storage:///system "$(tr -d '\\n' <commands)"
`;

const REFRESH = `
for p in $(seq ${POOLS}); do virsh -q -c storage:///system pool-refresh "p$p" & done
wait
`;

/** The storage daemon with many pools: its memory, and that of the processes that work for it. Root only. */
export const storagePoolsRow: Row = {
  name: "storage-pools",
  summary: `memory of the storage daemon and its helpers with ${POOLS} pools of ${VOLUMES} volumes each`,
  async run() {
    await using peer = await StoragePeer.start("ours");
    const line = (title: string, value: Figure, most: number): Line => ({
      row: "storage-pools",
      title,
      unit: "MB",
      better: "less",
      ours: value,
      theirs: undefined,
      goal: { kind: "most", value: most },
    });
    await until("the helpers to go", () => processes(peer).length === 1, HELPERS_GO);
    const lines = [line("memory without a pool", daemon(peer), IDLE_LIMIT)];
    await runOk(peer, ["sh", "-ec", SET_UP, "sh", peer.directory], { deadline: 120_000 });
    const peak = await peakOf(peer, () => runOk(peer, ["sh", "-c", REFRESH], { deadline: 120_000 }));
    lines.push(line(`most memory, ${POOLS} refreshes at once, with helpers`, peak, FULL_LIMIT));
    await until("the helpers to go", () => processes(peer).length === 1, HELPERS_GO);
    lines.push(line(`memory, ${POOLS} pools of ${VOLUMES} volumes`, daemon(peer), FULL_LIMIT));
    return lines;
  },
};

/** The daemon, and the processes that work for it. */
function processes(peer: StoragePeer): number[] {
  const pid = Number(Deno.readTextFileSync(peer.outside("/run/virtstoraged.pid")));
  const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
  return [pid, ...children === "" ? [] : children.split(" ").map(Number)];
}

function daemon(peer: StoragePeer): Figure {
  const { resident, own } = processMemory(processes(peer)[0] as number);
  return { value: resident, note: `${own.toFixed(1)} MB of it not backed by a file` };
}

/** Most memory of all of them while something goes on: what they share counts once. */
async function peakOf(peer: StoragePeer, work: () => Promise<unknown>): Promise<Figure> {
  let [most, helpers, ended] = [0, 0, false];
  const working = work().finally(() => ended = true);
  while (!ended) {
    const all = processes(peer);
    most = Math.max(most, all.reduce((sum, pid) => sum + proportional(pid), 0));
    helpers = Math.max(helpers, all.length - 1);
    await setTimeout(LOOK);
  }
  await working;
  return { value: most, note: `${helpers} helpers` };
}

/** A process's part of the memory that it uses, in MB; 0 when it has gone. */
function proportional(pid: number): number {
  try {
    const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
    return Number(/^Pss: +(\d+) kB$/m.exec(rollup)?.[1] ?? 0) / 1024;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    // A process that is ending has no memory to tell of.
    if (error instanceof Error && error.message.includes("os error 3")) return 0;
    throw error;
  }
}
