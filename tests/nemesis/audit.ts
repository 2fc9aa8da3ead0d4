import { isFree } from "../support/kernel.ts";
import type { Etcd } from "../support/etcd.ts";
import type { LockEntry } from "../../src/lockd/status/status_document.ts";
import type { Scene } from "./faults/fault.ts";
import type { NemesisHost } from "./nemesis_host.ts";

/** An etcd that has just found its quorum, releases that wait for it, and a person, need some seconds. */
const PATIENCE_MS = 300_000;
/** When nothing changes any more for so long it stays as it is: whoever tries again does so more often. */
const STILL_MS = 120_000;
const LOOK_MS = 500;

/** What is left although all guests have gone. @returns nothing when all is well, after a while */
export async function leftovers({ etcd, hosts, administrator }: Scene): Promise<readonly string[]> {
  const end = performance.now() + PATIENCE_MS;
  let seen = { text: "", since: -Infinity };
  for (;;) {
    await administrator.free("all gone");
    const left = await look(etcd, hosts);
    const [text, now] = [left.join("\n"), performance.now()];
    if (text !== seen.text) seen = { text, since: now };
    if (left.length === 0 || now > end || now - seen.since > STILL_MS) return left;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
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
