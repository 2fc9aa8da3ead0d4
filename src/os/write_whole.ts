import { O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } from "./constants.ts";
import { must } from "./system_error.ts";
import type { FileSys } from "./sys.ts";

/** Only its owner reads and writes it. */
const MODE = 0o600;

/**
 * Writes a file of the daemon's own, whole or not at all: whoever reads it sees the old content or the new
 * one. It need not outlive the host's end, so nothing is brought to the medium.
 *
 * @throws SystemError when it cannot be written; nothing is left behind then
 */
export function writeWhole(
  sys: Pick<FileSys, "open" | "write" | "close" | "rename" | "unlink">,
  path: string,
  bytes: Uint8Array,
): void {
  const unfinished = `${path}.new`;
  sys.unlink(unfinished);
  const flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
  const fd = must(sys.open(unfinished, flags, MODE), "open", unfinished);
  try {
    for (let at = 0; at < bytes.length;) at += must(sys.write(fd, bytes.subarray(at)), "write", unfinished);
    must(sys.rename(unfinished, path), "rename", unfinished);
  } catch (error) {
    sys.unlink(unfinished);
    throw error;
  } finally {
    sys.close(fd);
  }
}
