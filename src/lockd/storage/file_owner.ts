import { EACCES, EPERM } from "../../os/errno.ts";
import { emptyStatus, type FileSys } from "../../os/sys.ts";
import type { FileOwner } from "./helper_protocol.ts";

/**
 * Whose a file is; of one behind a directory that may not be entered, whose that directory is. May block.
 *
 * @returns undefined when that cannot be seen either
 */
export function findOwner(sys: Pick<FileSys, "stat">, path: string): FileOwner | undefined {
  const status = emptyStatus();
  for (let at = path;; at = at.slice(0, at.lastIndexOf("/"))) {
    const found = sys.stat(at, status);
    if (found === 0) return { uid: status.uid, gid: status.gid, path: at };
    if ((found !== -EACCES && found !== -EPERM) || at.lastIndexOf("/") <= 0) return undefined;
  }
}
