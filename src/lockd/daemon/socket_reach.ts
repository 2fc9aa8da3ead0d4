import { type MountLine, parseMountinfo } from "../../os/mountinfo.ts";
import { readFileText } from "../../os/read_file.ts";
import type { FileSys } from "../../os/sys.ts";

/** A mount as far as it says which part of which file system is seen where. */
type Part = Pick<MountLine, "devMajor" | "devMinor" | "root" | "point">;

type ReachSys = Pick<FileSys, "open" | "pread" | "close">;

/**
 * Whether a process may reach a path of ours through any mount that it has, as one in a container only can if
 * the directory was mounted there, too. Looks at lists of mounts only (proc_pid_mountinfo(5)), at no file
 * system.
 *
 * @returns true also when that cannot be told
 */
export function mayReach(sys: ReachSys, pid: number, path: string): boolean {
  const own = partsOf(sys, "self");
  const theirs = partsOf(sys, String(pid));
  // A later mount covers an earlier one at the same place.
  const holding = own?.filter(({ point }) => isBelow(path, point)).reduce<Part | undefined>(
    (best, part) => best === undefined || part.point.length >= best.point.length ? part : best,
    undefined,
  );
  if (holding === undefined || theirs === undefined) return true;
  const inside = joined(holding.root, holding.point === "/" ? path : path.slice(holding.point.length));
  return theirs.some(({ devMajor, devMinor, root }) =>
    devMajor === holding.devMajor && devMinor === holding.devMinor && isBelow(inside, root)
  );
}

function partsOf(sys: ReachSys, pid: string): Part[] | undefined {
  const text = readFileText(sys, `/proc/${pid}/mountinfo`);
  return text === undefined ? undefined : parseMountinfo(text);
}

function isBelow(path: string, directory: string): boolean {
  return directory === "/" || path === directory || path.startsWith(`${directory}/`);
}

function joined(root: string, rest: string): string {
  return root === "/" ? rest : `${root}${rest}`;
}
