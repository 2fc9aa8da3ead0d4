import { ESRCH } from "../../os/errno.ts";
import { SIGKILL, SIGSTOP } from "../../os/constants.ts";
import { childrenOf, statFields } from "../../os/process_state.ts";
import { readSmallFile } from "../../os/read_file.ts";
import type { Sys } from "../../os/sys.ts";

/**
 * Kills a child and what it has started: mount(8) leaves its work to a program of its own, which would go on.
 * Each is stopped before its children are looked up, so that it starts no more of them. The caller reaps the
 * child; the others are adopted by whoever adopts orphans.
 */
export function killTree(sys: Pick<Sys, "open" | "close" | "pread" | "kill">, pid: number): void {
  sys.kill(pid, SIGSTOP);
  for (const child of childrenOf(sys, pid)) killTree(sys, child);
  sys.kill(pid, SIGKILL);
}

/**
 * A process of a group that has still to end, undefined when there is none: one that hangs in the kernel has,
 * however often it is killed. One that has ended and that nobody reaps does nothing any more.
 *
 * @param known what was answered last: as long as that lives, no other process is looked at
 * @returns its number in decimal digits; the group's where processes cannot be listed
 */
export function livingOf(
  sys: Pick<Sys, "kill" | "listDirectory" | "open" | "read" | "close">,
  group: number,
  known?: string,
): string | undefined {
  if (known !== undefined && runsIn(sys, known, group)) return known;
  if (sys.kill(-group, 0) === -ESRCH) return undefined;
  const names = sys.listDirectory("/proc");
  if (typeof names === "number") return String(group);
  return names.find((name) => /^\d/.test(name) && runsIn(sys, name, group));
}

/** Whether a process is of a group, and a thread of it has still to end: the first may have ended before. */
function runsIn(
  sys: Pick<Sys, "listDirectory" | "open" | "read" | "close">,
  pid: string,
  group: number,
): boolean {
  if (fieldsOf(sys, `/proc/${pid}`)?.group !== group) return false;
  const threads = sys.listDirectory(`/proc/${pid}/task`);
  if (typeof threads === "number") return false;
  return threads.some((thread) => {
    const state = fieldsOf(sys, `/proc/${pid}/task/${thread}`)?.state ?? "X";
    return state !== "Z" && state !== "X";
  });
}

function fieldsOf(
  sys: Pick<Sys, "open" | "read" | "close">,
  path: string,
): { state: string | undefined; group: number } | undefined {
  const text = readSmallFile(sys, `${path}/stat`);
  if (text === undefined) return undefined;
  const [state, , group] = statFields(text);
  return { state, group: Number(group) };
}
