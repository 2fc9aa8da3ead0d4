import { shellQuoted } from "../../../base/shell_quoted.ts";
import { S_IFMT, S_IFREG } from "../../../os/constants.ts";
import { emptyStatus, type FileSys, type ProcessSys } from "../../../os/sys.ts";
import { SystemError } from "../../../os/system_error.ts";
import { adoptionText, checkDirectory } from "../../lockspace/directory_check.ts";

const OTHERS_WRITE = 0o022;
const EXECUTABLE = 0o111;

/**
 * Why the program that fences hosts cannot be run: it is run as the daemon's user, and its word frees the
 * locks of a host. So nobody else may write it, nor put another one in its place.
 *
 * @returns undefined when it can
 */
export function wrongWithProgram(
  sys: Pick<FileSys, "lstat" | "readlink"> & Pick<ProcessSys, "uid">,
  path: string,
): string | undefined {
  const status = emptyStatus();
  const looked = sys.lstat(path, status);
  if (looked < 0) return new SystemError("stat", path, looked).message;
  const { mode, uid } = status;
  if ((mode & S_IFMT) !== S_IFREG) {
    return `${path} is no regular file: name the program itself, and no link to it`;
  }
  if ((mode & EXECUTABLE) === 0) return `${path} is not executable: chmod 0755 ${shellQuoted(path)}`;
  const own = sys.uid();
  if (uid !== 0 && uid !== own) return `${path} belongs to uid ${uid}: chown root ${shellQuoted(path)}`;
  if ((mode & OTHERS_WRITE) !== 0) {
    return `others than its owner may write ${path}: chmod go-w ${shellQuoted(path)}`;
  }
  const directory = path.slice(0, path.lastIndexOf("/")) || "/";
  const unfit = checkDirectory(sys, directory);
  return unfit === undefined ? undefined : adoptionText(unfit) ?? `${directory} is not there any more`;
}
