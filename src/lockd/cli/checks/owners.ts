import type { HolderEntry, LockEntry } from "../../status/status_document.ts";
import { type Check, type Finding, lasting, type Patient, problem, warning } from "./check.ts";

/**
 * Whether the processes of those who hold locks are there: a lock of one that is gone keeps its disk from
 * others.
 */
export const owners: Check = {
  name: "lock owners",
  run: (patient) =>
    lasting(patient, ({ locks }) => [...byHolder(locks).values()].flatMap((held) => inspect(patient, held))),
};

/** A holder with everything that it has. */
interface Held {
  readonly holder: HolderEntry;
  readonly locks: LockEntry[];
}

function byHolder(locks: readonly LockEntry[]): Map<string, Held> {
  const all = new Map<string, Held>();
  for (const lock of locks) {
    for (const holder of lock.holders) {
      const key = `${holder.pid} ${holder.uuid}`;
      const known = all.get(key);
      if (known === undefined) all.set(key, { holder, locks: [lock] });
      else known.locks.push(lock);
    }
  }
  return all;
}

function inspect({ host }: Patient, { holder, locks }: Held): Finding[] {
  const { domain, uuid, pid, process } = holder;
  const [first, ...others] = locks;
  if (first === undefined) return [];
  const who = `domain '${domain}' (uuid ${uuid}, pid ${pid})`;
  const what = others.length === 0 ? first.path : `${first.path} and ${others.length} more`;
  const free = `virtlockd release ${first.path}${first.mode === "shared" ? ` --uuid ${uuid}` : ""}`;
  if (process === undefined) {
    // An older daemon does not say: look for the process here.
    if (host.kind(`/proc/${pid}`) !== undefined) return [];
    return [
      problem(
        `${who} holds ${what}, but there is no such process here`,
        "Upgrade the daemon, which then judges its owners: systemctl reload virtlockd",
      ),
    ];
  }
  switch (process) {
    case "alive":
      return [];
    case "unjudged":
      return [
        warning(
          `Whether ${who} lives cannot be told; it holds ${what}`,
          `If no host runs it any more (virsh list --all), free what it holds: ${free}`,
        ),
      ];
    case "dead":
      return [
        warning(
          `The process of ${who} has ended, but it still holds ${what}: ${first.reason ?? first.state}`,
          `It is released by itself; if that takes too long: ${free} --force --guest '${domain}'`,
        ),
      ];
  }
}
