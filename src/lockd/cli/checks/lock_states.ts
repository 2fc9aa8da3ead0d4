import { shellQuoted } from "../../../base/shell_quoted.ts";
import { counted, someOf } from "../../../chassis/log/counted.ts";
import type { HolderEntry, LockEntry } from "../../status/status_document.ts";
import { type Check, type Finding, problem, warning } from "./check.ts";

/** Most guests of one lock that are named. */
const NAMED_GUESTS = 5;

/** States in which a guest runs without what keeps others from its disk. */
const UNSAFE: readonly LockEntry["state"][] = ["doubtful", "awaited", "lost"];

/** Whether every lock is what it seems. */
export const lockStates: Check = {
  name: "locks",
  run({ daemon, lookAgain }) {
    if (daemon.kind !== "answers") return [];
    // Nobody is to be sent to a guest that has ended by now, as it often does where its lock is in doubt.
    const again = daemon.locks.some(isUnsafe) ? lookAgain() : daemon;
    return stateFindings(again.kind === "answers" ? again.locks : daemon.locks);
  },
};

/** Whether a guest that runs has a lock in such a state; of those that have ended another check tells. */
function isUnsafe({ state, holders, moreHolders }: LockEntry): boolean {
  if (!UNSAFE.includes(state)) return false;
  return holders.length === 0 || moreHolders !== undefined || holders.some(lives);
}

function lives({ process }: HolderEntry): boolean {
  return process !== "ended";
}

function stateFindings(all: readonly LockEntry[]): Finding[] {
  const unsafe = all.filter(isUnsafe);
  const findings: Finding[] = unsafe.filter(({ state }) => state === "doubtful").map((lock) =>
    problem(
      `The lock on ${lock.path}${ofGuests(lock)} is doubtful${
        lock.reason === undefined ? "" : `: ${lock.reason}`
      }`,
      "Look at that guest (virtlockd locks, virsh list) and shut it down: the lock goes with its process",
    )
  );
  findings.push(
    ...unsafe.filter(({ state }) => state === "awaited").map((lock) =>
      problem(
        `The lock on ${lock.path} ended with an earlier daemon and is not taken again yet: ${lock.reason}`,
        "Make the storage answer, or end whoever has the file: the daemon tries again every few seconds. Until then " +
          "its guest runs unprotected",
      )
    ),
  );
  findings.push(
    ...unsafe.filter(({ state }) => state === "lost").map((lock) =>
      problem(
        `The lock on ${lock.path} is lost: ${lock.reason}`,
        "End the guest that has it (virtlockd locks names it) or whoever has the file: the daemon tries again every few " +
          "seconds. Until then two guests may write to that disk",
      )
    ),
  );
  findings.push(
    ...all.filter(({ state }) => state === "settling").map((lock) =>
      warning(
        `The lock on ${lock.path} stays although its guest is gone: ${lock.reason}`,
        "Wait, or look at the storage; when nothing of that guest is written any more for certain, free the lock: " +
          `virtlockd release ${shellQuoted(lock.path)} --force --guest ${guestOf(lock)}`,
      )
    ),
  );
  const inherited = all.filter(({ kind }) => kind === "posix").length;
  if (inherited > 0) {
    findings.push(
      warning(
        `${counted(inherited, "lock")} of libvirt's daemon would not survive a crash`,
        "Nothing now; each goes when its guest is restarted",
      ),
    );
  }
  return findings;
}

/** ` of 'a', 'b'`, those that have not ended; nothing where no name is known. */
function ofGuests({ holders }: LockEntry): string {
  const names = new Set(holders.filter(lives).flatMap(({ domain }) => domain === "" ? [] : [domain]));
  return names.size === 0 ? "" : ` of ${someOf([...names], NAMED_GUESTS)}`;
}

/** The guest of a lock, as one word of a command line: the first one where several share it. */
function guestOf({ holders: [holder] }: LockEntry): string {
  if (holder === undefined) return "NAME";
  return shellQuoted(holder.domain === "" ? String(holder.pid) : holder.domain);
}
