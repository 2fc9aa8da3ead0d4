import { O_CLOEXEC, O_CREAT, O_EXCL, O_WRONLY } from "../../os/constants.ts";
import type { FileSys, ProcessSys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import { encodeText } from "../../os/text.ts";
import { CommandError, CommandExit } from "./command.ts";

type ReplaceSys =
  & Pick<FileSys, "open" | "write" | "fchmod" | "fsync" | "close" | "rename" | "unlink">
  & Pick<ProcessSys, "pid">;

/**
 * Replaces a file as a whole: whoever reads it sees the old content or the new one, never a part.
 *
 * @throws CommandError naming what could not be done; the old file is there then
 */
export function replaceFile(sys: ReplaceSys, path: string, text: string, mode: number): void {
  const slash = path.lastIndexOf("/") + 1;
  // Hidden and with a suffix of its own: collectors look for names that end in .prom.
  const temporary = `${path.slice(0, slash)}.${path.slice(slash)}.${sys.pid()}`;
  try {
    writeFile(sys, temporary, text, mode);
    must(sys.rename(temporary, path), "rename", path);
  } catch (error) {
    sys.unlink(temporary);
    if (!(error instanceof SystemError)) throw error;
    throw new CommandError(CommandExit.PROBLEM, `Write ${path}: ${error.reason}`, { cause: error });
  }
}

function writeFile(sys: ReplaceSys, path: string, text: string, mode: number): void {
  const fd = must(sys.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600), "open", path);
  try {
    const bytes = encodeText(text);
    for (let at = 0; at < bytes.length;) at += must(sys.write(fd, bytes.subarray(at)), "write", path);
    must(sys.fchmod(fd, mode), "fchmod", path);
    must(sys.fsync(fd), "fsync", path);
  } finally {
    sys.close(fd);
  }
}
