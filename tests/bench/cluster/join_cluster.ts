import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { until } from "../../support/until.ts";
import type { Target } from "../load/task.ts";
import type { Place } from "../place.ts";

/** The link's program, as `deno task build` makes it. */
export const LINK = resolve("virtlockd-cluster");

/** Waits until a daemon has joined the cluster. */
export async function untilMember({ socket }: Target): Promise<void> {
  const file = join(dirname(socket), "virtlockd-cluster.json");
  await until("the host to be a member", () => existsSync(file));
}

/** Writes the settings of a host, and lets links be started for its daemon. @returns what starts them */
export function joinCluster(place: Place, urls: readonly string[]): ChildProcess {
  appendFileSync(
    place.configFile,
    `cluster_endpoints = [${urls.map((url) => `"${url}"`).join(", ")}]\ncluster_host_id = "bench"\n` +
      `cluster_lockspaces = ["bench=${place.lockspace}"]\n`,
  );
  const run = dirname(place.socket);
  mkdirSync(run, { recursive: true });
  const socket = join(run, "virtlockd-cluster-sock");
  const forwarded = ["DENO_DIR", "HOME", "PATH"].flatMap((name) => ["-E", name]);
  return spawn("systemd-socket-activate", ["--accept", "--inetd", ...forwarded, "-l", socket, LINK], {
    stdio: "ignore",
  });
}
