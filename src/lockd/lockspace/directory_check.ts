import { S_IFDIR, S_IFLNK, S_IFMT } from "../../os/constants.ts";
import { ELOOP, ENOENT, strerror } from "../../os/errno.ts";
import { emptyStatus, type FileStatus, type FileSys, type ProcessSys } from "../../os/sys.ts";
import type { DirectoryFailure } from "./file_failure.ts";

/** As many symbolic links as the kernel follows in one path (path_resolution(7)). */
const MAX_LINKS = 40;
const OTHERS_WRITE = 0o022;

/**
 * Whether a directory that nobody has registered may be used for locks: it has to be the daemon's user's own,
 * and nobody else may write it nor any directory on the way to it, behind symbolic links too. Else somebody
 * could put another one in its place while locks are held. May block on storage that does not answer.
 *
 * @returns undefined when it may
 */
export function checkDirectory(
  sys: Pick<FileSys, "lstat" | "readlink"> & Pick<ProcessSys, "uid">,
  path: string,
): DirectoryFailure | undefined {
  if (!path.startsWith("/")) return unfit(`${path} is no absolute path`);
  const own = sys.uid();
  const status = emptyStatus();
  const trail = [""];
  // The root directory is looked at like any other, under the name that is empty here.
  const rest = [...path.split("/").reverse()];
  let links = 0;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === "..") {
      if (trail.length > 1) trail.pop();
      continue;
    }
    if (name === ".") continue;
    const here = trail.at(-1) as string;
    const next = name === "" ? here : `${here}/${name}`;
    const looked = sys.lstat(next === "" ? "/" : next, status);
    if (looked < 0) return failed(next, looked);
    if ((status.mode & S_IFMT) === S_IFLNK) {
      const target = sys.readlink(next);
      if (typeof target === "number") return failed(next, target);
      if (++links > MAX_LINKS) return failed(next, -ELOOP);
      if (target.startsWith("/")) trail.length = 1;
      rest.push(...target.split("/").reverse());
      continue;
    }
    const wrong = wrongWith(next === "" ? "/" : next, status, own);
    if (wrong !== undefined) return unfit(wrong);
    if (name !== "") trail.push(next);
  }
  const directory = trail.at(-1) as string;
  const looked = sys.lstat(directory === "" ? "/" : directory, status);
  if (looked < 0) return failed(directory, looked);
  return status.uid === own
    ? undefined
    : unfit(`${directory} belongs to uid ${status.uid}, not to uid ${own}`);
}

/** What is wrong with a directory on the way. */
function wrongWith(path: string, { mode, uid }: FileStatus, own: number): string | undefined {
  if ((mode & S_IFMT) !== S_IFDIR) return `${path} is no directory`;
  if (uid !== 0 && uid !== own) return `${path} belongs to uid ${uid}`;
  if ((mode & OTHERS_WRITE) === 0) return undefined;
  return `others than its owner may write ${path} (mode ${(mode & 0o7777).toString(8).padStart(4, "0")})`;
}

function unfit(reason: string): DirectoryFailure {
  return { kind: "unfit", reason };
}

function failed(path: string, result: number): DirectoryFailure {
  return { kind: "system", action: `Unable to look at ${path}`, errno: -result };
}

/** Why a directory cannot be adopted, for a refusal; undefined when it is just not there. */
export function adoptionText(failure: DirectoryFailure): string | undefined {
  switch (failure.kind) {
    case "unfit":
      return failure.reason;
    case "system":
      return failure.errno === ENOENT ? undefined : `${failure.action}: ${strerror(failure.errno)}`;
    case "not-a-directory":
      return `${failure.path} is no directory`;
    case "storage":
      return `${failure.action}: ${failure.reason}`;
  }
}
