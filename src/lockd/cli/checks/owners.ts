import { shellOperand, shellQuoted } from "../../../base/shell_quoted.ts";
import type { HolderEntry, LockEntry } from "../../status/status_document.ts";
import { holderText } from "../shown/holder_text.ts";
import { type Check, type Finding, lasting, problem, warning } from "./check.ts";

/**
 * Whether the processes of those who hold locks are there: a lock of one that is gone keeps its disk from
 * others.
 */
export const owners: Check = {
  name: "lock owners",
  run: (patient) =>
    lasting(patient, ({ locks }) => [...byHolder(locks).values()].flatMap((held) => inspect(held))),
};

/** A holder with everything that it has and that says the same of its process. */
interface Held {
  readonly holder: HolderEntry;
  readonly locks: LockEntry[];
}

function byHolder(locks: readonly LockEntry[]): Map<string, Held> {
  const all = new Map<string, Held>();
  for (const lock of locks) {
    for (const holder of lock.holders) {
      const key = `${holder.pid} ${holder.uuid} ${holder.process}`;
      const known = all.get(key);
      if (known === undefined) all.set(key, { holder, locks: [lock] });
      else known.locks.push(lock);
    }
  }
  return all;
}

function inspect({ holder, locks }: Held): Finding[] {
  const { domain, uuid, pid, process } = holder;
  const [first, ...others] = locks;
  if (first === undefined || process === undefined) return [];
  const who = holderText(holder);
  const what = others.length === 0 ? first.path : `${first.path} and ${others.length} more`;
  const chosen = first.mode === "shared" ? ` --uuid ${uuid}` : "";
  const name = shellQuoted(domain === "" ? String(pid) : domain);
  const guest = shellOperand(domain === "" ? String(pid) : domain);
  const free = `virtlockd release ${shellQuoted(first.path)}${chosen}`;
  switch (process) {
    case "unjudged":
      return [
        warning(
          `Whether ${who} lives cannot be told; it holds ${what}`,
          `If no host runs it any more (virsh list --all), free what it holds: ${free}`,
        ),
      ];
    case "stopped": {
      const lost = locks.find(({ state }) => state === "doubtful");
      return [
        lost === undefined
          ? warning(
            `${who} is stopped by a signal, and holds ${what}`,
            `If it was stopped because another host had its disk (cluster_on_lost), destroy it: virsh destroy ${guest}. ` +
              `If you have stopped it yourself: kill -CONT ${pid}`,
          )
          : problem(
            `${who} is stopped by a signal, and another host has ${lost.path}`,
            `Destroy it and start it where it belongs: virsh destroy ${guest}. It must not go on over what others have ` +
              "written: nobody may send it SIGCONT",
          ),
      ];
    }
    case "ended": {
      // Of these the check of the locks' states says what is known, and what to do.
      const waiting = locks.filter(({ state }) => state === "settling").length;
      return waiting === locks.length ? [] : [
        warning(
          `The process of ${who} has ended, but it still holds ${what}: ${first.reason ?? first.state}`,
          `It is released by itself; if that takes too long: ${free} --force --guest ${name}`,
        ),
      ];
    }
  }
}
