import { isFree } from "../support/kernel.ts";
import type { Etcd } from "../support/etcd.ts";
import type { LockEntry } from "../../src/lockd/status/status_document.ts";
import type { NemesisHost } from "./nemesis_host.ts";

/** An etcd that has just found its quorum, and releases that wait for it, need some seconds. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 500;
/** By then the writes of all guests have landed: a slow one's take 1.4 s. */
const WRITTEN_MS = 10_000;

/** What is left although all guests have gone. @returns nothing when all is well, after a while */
export async function leftovers(etcd: Etcd, hosts: readonly NemesisHost[]): Promise<readonly string[]> {
  const begun = performance.now();
  const end = begun + PATIENCE_MS;
  for (;;) {
    if (performance.now() - begun > WRITTEN_MS) await freeUnjudged(hosts);
    const left = await look(etcd, hosts);
    if (left.length === 0 || performance.now() > end) return left;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/**
 * What an administrator does with locks whose last writes a daemon cannot judge: in a user namespace not all
 * processes can be seen, as QEMUs of others on this machine.
 */
async function freeUnjudged(hosts: readonly NemesisHost[]): Promise<void> {
  for (const { manager } of hosts) {
    const { code, stdout } = await manager.command("locks", "--json");
    const locks: LockEntry[] = code === 0 ? JSON.parse(stdout) : [];
    for (const { state, resource, holders } of locks) {
      if (state !== "settling") continue;
      for (const { domain, uuid } of holders) {
        await manager.command("release", resource, "--uuid", uuid, "--force", "--guest", domain, "--yes");
      }
    }
  }
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
  for (const { name, cluster, manager } of hosts) {
    for (const { name: file } of Deno.readDirSync(cluster.space)) {
      if (!isFree(`${cluster.space}/${file}`)) left.push(`${name} has ${file} locked`);
    }
    const { code, stdout, stderr } = await manager.command("locks", "--json");
    if (code !== 0) left.push(`${name}: ${stderr.trim()}`);
    const locks: LockEntry[] = code === 0 ? JSON.parse(stdout) : [];
    for (const { path, state } of locks) left.push(`${name} shows ${path} as ${state}`);
  }
  return left;
}
