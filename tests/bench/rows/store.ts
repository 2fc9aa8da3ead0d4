import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Bench } from "../bench.ts";
import { loadFigure } from "../bench.ts";
import type { Line } from "../line.ts";
import { OPERATION_TITLES } from "./speed.ts";
import type { Row } from "../row.ts";

const STORE_PROGRAM = fileURLToPath(new URL("../store/main.ts", import.meta.url));
const STORE_LIMIT = 65536;
/**
 * Messages that wait for the service manager at most: what systemd sets when it boots. A network namespace
 * has its own limit.
 */
const QUEUE = `echo 512 > /proc/sys/net/unix/max_dgram_qlen; exec "$0" "$@"`;
/** How many times as fast as without the store, by number of clients. */
const LEAST: readonly (readonly [clients: number, least: number])[] = [[1, 0.9], [50, 0.75]];

/** Acquire and release with a stand-in for systemd's descriptor store, beside the same daemon without. */
export const storeRow: Row = {
  name: "store",
  summary: "acquire + release with a descriptor store, beside the same daemon without one",
  async run(bench) {
    const lines: Line[] = [];
    const socket = Deno.makeTempDirSync({ prefix: "virtlockd-store-" }) + "/notify";
    const store = await startStore(socket);
    try {
      for (const [clients, least] of LEAST) lines.push(await compareStore(bench, socket, clients, least));
    } finally {
      store.kill("SIGKILL");
      await once(store, "exit");
      Deno.removeSync(socket.slice(0, socket.lastIndexOf("/")), { recursive: true });
    }
    return lines;
  },
};

async function compareStore(bench: Bench, socket: string, clients: number, least: number): Promise<Line> {
  const environment = () => ({ NOTIFY_SOCKET: socket, VIRTLOCKD_FDSTORE_MAX: String(STORE_LIMIT) });
  return await bench.withOurs((plain) =>
    bench.withOurs(async (stored) => {
      const daemons = { ours: stored, theirs: plain };
      const { ours, theirs } = await bench.alternate(daemons, (daemon) =>
        bench.load(daemon.target, "pair", clients));
      return {
        row: "store",
        title: `${clients} client${clients === 1 ? "" : "s"}, ${OPERATION_TITLES.pair}, with store / without`,
        unit: "per s",
        better: "more",
        ours: loadFigure(ours),
        theirs: { ...loadFigure(theirs), note: "in this line it is our daemon without the store" },
        goal: { kind: "ratio", least },
      };
    }, environment)
  );
}

async function startStore(socket: string): Promise<ChildProcess> {
  const store = [Deno.execPath(), "run", "-A", "--no-config", "--no-lock", STORE_PROGRAM, socket];
  const child = spawn("unshare", ["--map-root-user", "--net", "sh", "-c", QUEUE, ...store], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await Promise.race([
    once(child.stdout, "data"),
    once(child, "exit").then(() => {
      throw new Error("Start the descriptor store: it ended early; see above");
    }),
  ]);
  return child;
}
