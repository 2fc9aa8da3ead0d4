import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Bench } from "../bench.ts";
import { loadFigure } from "../bench.ts";
import { type Attack, ATTACKS } from "../hostile/attack.ts";
import type { Line } from "../line.ts";
import type { Row } from "../row.ts";

const PROGRAM = fileURLToPath(new URL("../hostile/main.ts", import.meta.url));
/** Clients that behave. */
const CLIENTS = 4;
/** How many times as long as on a quiet daemon a request may take under attack. */
const TOLERANCE = 2;

/** p99 of clients that behave while another does not, beside that of a daemon that is left in peace. */
export const hostileRow: Row = {
  name: "hostile",
  summary: `p99 of ${CLIENTS} clients while others attack, beside the same daemon in peace`,
  async run(bench) {
    const lines: Line[] = [];
    for (const attack of ATTACKS) lines.push(await underAttack(bench, attack));
    return lines;
  },
};

async function underAttack(bench: Bench, attack: Attack): Promise<Line> {
  return await bench.withOurs((quiet) =>
    bench.withOurs(async (attacked) => {
      const attacker = await begin(attack, attacked.target.socket);
      try {
        const { ours, theirs } = await bench.alternate({ ours: attacked, theirs: quiet }, (daemon) => {
          signal(attacker, daemon === attacked ? "SIGCONT" : "SIGSTOP");
          return bench.load(daemon.target, "noop", CLIENTS);
        });
        const [loud = NaN, calm = NaN] = [ours, theirs].map((samples) => loadFigure(samples).latency?.p99);
        return {
          row: "hostile",
          title: `${CLIENTS} clients, no-op call, p99 under ${attack} / in peace`,
          unit: "times",
          better: "less",
          ours: { value: loud / calm, note: `${loud.toFixed(0)} us beside ${calm.toFixed(0)} us` },
          theirs: undefined,
          goal: { kind: "most", value: TOLERANCE },
        };
      } finally {
        const ended = once(attacker, "exit");
        signal(attacker, "SIGKILL");
        await ended;
      }
    })
  );
}

/**
 * Starts an attack, which must not take the CPU away from those who are measured: it gets only what they
 * leave idle.
 */
async function begin(attack: Attack, socket: string): Promise<ChildProcess> {
  const command = [Deno.execPath(), "run", "-A", "--no-config", "--no-lock", PROGRAM, attack, socket];
  const child = spawn("chrt", ["--idle", "0", ...command], { stdio: ["ignore", "pipe", "inherit"] });
  await Promise.race([
    once(child.stdout, "data"),
    once(child, "exit").then(() => {
      throw new Error(`Begin the attack ${attack}: the process ended early; see above`);
    }),
  ]);
  return child;
}

/** Not its own kill(): here that sends only the first signal. */
function signal({ pid }: ChildProcess, name: Deno.Signal): void {
  if (pid !== undefined) Deno.kill(pid, name);
}
