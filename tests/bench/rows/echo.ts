import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadFigure } from "../bench.ts";
import type { Line } from "../line.ts";
import type { Target } from "../load/task.ts";
import type { Row } from "../row.ts";

const ECHO_PROGRAM = fileURLToPath(new URL("../echo/main.ts", import.meta.url));

/** The load process against a server that does nothing: what it can do at most on this machine. */
export const echoRow: Row = {
  name: "echo",
  summary: "no-op calls to a server that only answers: the ceiling of the load process and this machine",
  async run(bench) {
    const directory = mkdtempSync(join(tmpdir(), "virtlockd-echo-"));
    const target: Omit<Target, "pid"> = { socket: join(directory, "socket"), lockspace: directory };
    const server = spawn(Deno.execPath(), [
      "run",
      "-A",
      "--no-config",
      "--no-lock",
      ECHO_PROGRAM,
      target.socket,
    ], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      await Promise.race([once(server.stdout, "data"), once(server, "exit")]);
      return [1, 50].map((clients): Line => {
        const samples = Array.from(
          { length: bench.effort.rounds },
          () => bench.load({ ...target, pid: server.pid ?? 0 }, "noop", clients),
        );
        return {
          row: "echo",
          title: `${clients} client${clients === 1 ? "" : "s"}, no-op call, a server that only answers`,
          unit: "per s",
          better: "more",
          ours: loadFigure(samples),
          theirs: undefined,
        };
      });
    } finally {
      server.kill("SIGKILL");
      await once(server, "exit");
      rmSync(directory, { recursive: true });
    }
  },
};
