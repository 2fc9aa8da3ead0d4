import { isFree } from "../support/kernel.ts";
import type { Etcd } from "../support/etcd.ts";
import type { LockEntry } from "../../src/lockd/status/status_document.ts";
import type { Administrator } from "./administrator.ts";
import type { Scene } from "./faults/fault.ts";
import type { NemesisHost } from "./nemesis_host.ts";

/** An etcd that has just found its quorum, releases that wait for it, and a person, need some seconds. */
const PATIENCE_MS = 300_000;
/** What is left for so long although no host has anything to do with it stays: they look every 3 s. */
const IDLE_MS = 60_000;
const LOOK_MS = 500;

/**
 * What is left although all guests have gone. But for shares nobody frees anything by hand: what a person
 * alone could free is left too.
 *
 * @returns nothing when all is well, after a while
 */
export async function leftovers(
  { etcd, hosts }: Scene,
  administrator: Administrator,
): Promise<readonly string[]> {
  const end = performance.now() + PATIENCE_MS;
  let busy = performance.now();
  for (;;) {
    await administrator.freeShares();
    const left = await look(etcd, hosts);
    if (left.length === 0) return left;
    if (!(await Promise.all(hosts.map(isIdle))).every(Boolean)) busy = performance.now();
    if (performance.now() > end || performance.now() - busy > IDLE_MS) return left;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Whether a host is well, and says that it has nothing and gives nothing back. */
async function isIdle(host: NemesisHost): Promise<boolean> {
  const status = await host.status();
  if (status === undefined || status.state !== "live") return false;
  const { locks, releasing, unknown } = status;
  return locks + releasing + unknown === 0;
}

async function look(etcd: Etcd, hosts: readonly NemesisHost[]): Promise<readonly string[]> {
  let keys: ReadonlyMap<string, string>;
  try {
    keys = await etcd.keys("/virtlockd/test/");
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return [error.message];
  }
  const held = [...keys].filter(([key]) => /^\/virtlockd\/test\/(lock|share|own)\//.test(key));
  if (held.length > 0) return held.map(([key, value]) => `etcd has ${key}: ${value}`);
  const left: string[] = [];
  for (const host of hosts) {
    const { name, cluster } = host;
    for (const { name: file } of Deno.readDirSync(cluster.space)) {
      if (!isFree(`${cluster.space}/${file}`)) left.push(`${name} has ${file} locked`);
    }
    const { code, stdout, stderr } = await host.command("locks", "--json");
    if (code !== 0) left.push(`${name}: ${stderr.trim()}`);
    const locks: LockEntry[] = code === 0 ? JSON.parse(stdout) : [];
    for (const { path, state } of locks) left.push(`${name} shows ${path} as ${state}`);
  }
  return left;
}
