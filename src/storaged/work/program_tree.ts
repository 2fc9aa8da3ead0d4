import { SIGKILL, SIGSTOP } from "../../os/constants.ts";
import { readFileText } from "../../os/read_file.ts";
import type { Sys } from "../../os/sys.ts";

/**
 * Kills a child and what it has started: mount(8) leaves its work to a program of its own, which would go on.
 * Each is stopped before its children are looked up, so that it starts no more of them. The caller reaps the
 * child; the others are adopted by whoever adopts orphans.
 */
export function killTree(sys: Pick<Sys, "open" | "close" | "pread" | "kill">, pid: number): void {
  sys.kill(pid, SIGSTOP);
  const children = readFileText(sys, `/proc/${pid}/task/${pid}/children`) ?? "";
  for (const child of children.split(" ").filter((word) => word !== "")) killTree(sys, Number(child));
  sys.kill(pid, SIGKILL);
}
