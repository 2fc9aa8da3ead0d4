import { F_WRLCK, O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_RDWR } from "../../os/constants.ts";
import { EAGAIN, EEXIST, ENOENT, ENOTDIR } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { emptyStatus, type FileSys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import { draftPath, journalPath } from "./layout.ts";

type JournalFileSys = Pick<
  FileSys,
  "open" | "close" | "mkdir" | "ofdLock" | "fstat" | "lstat" | "ftruncate" | "unlink" | "rename"
>;

const MODE = 0o600;
/** How often the other name may turn out to be another file's by now. */
const MAX_TRIES = 10;

/**
 * The file in which a journal is, so that it outlives the process, and also a service manager that has
 * dropped what it kept.
 *
 * It is locked as long as a daemon uses it: another one with a PID file of its own must not touch it.
 */
export class JournalFile {
  readonly #sys: JournalFileSys;
  readonly #ledger: DescriptorLedger;
  readonly path: string;
  /** Owned by the file. */
  readonly fd: number;

  /** @param fd open and locked; owned by the file from now on */
  constructor(sys: JournalFileSys, ledger: DescriptorLedger, directory: string, fd: number) {
    this.#sys = sys;
    this.#ledger = ledger;
    this.path = journalPath(directory);
    this.fd = ledger.own(fd, "journal");
  }

  /**
   * Opens and locks the file that is there.
   *
   * @returns undefined when there is none
   * @throws SystemError, also when another daemon uses it
   */
  static open(sys: JournalFileSys, ledger: DescriptorLedger, directory: string): JournalFile | undefined {
    const path = journalPath(directory);
    const fd = sys.open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd === -ENOENT || fd === -ENOTDIR) return undefined;
    must(fd, "open", path);
    return new JournalFile(sys, ledger, directory, locked(sys, fd, path));
  }

  /**
   * Makes the file where there is none, with its directory. It has another name until `fill` is done: neither
   * a kill nor a place that is full leaves a part of one. What a kill leaves under the other name, the next
   * one that is made takes the place of.
   *
   * @param fill gets the open file, which is empty
   * @throws SystemError, also when another daemon's is there (EEXIST) or is being made (EAGAIN)
   */
  static make<Filled>(
    sys: JournalFileSys,
    ledger: DescriptorLedger,
    directory: string,
    fill: (fd: number) => Filled,
  ): { readonly file: JournalFile; readonly filled: Filled } {
    const made = sys.mkdir(directory, 0o700);
    if (made < 0 && made !== -EEXIST) throw new SystemError("mkdir", directory, made);
    const draft = draftPath(directory);
    const fd = lockedDraft(sys, draft);
    try {
      // Whoever makes one has the draft's lock, so none can come from now on.
      const there = sys.lstat(journalPath(directory), emptyStatus());
      if (there !== -ENOENT) {
        throw new SystemError("make", journalPath(directory), there < 0 ? there : EEXIST);
      }
      must(sys.ftruncate(fd, 0), "ftruncate", draft);
      const filled = fill(fd);
      must(sys.rename(draft, journalPath(directory)), "rename", draft);
      return { file: new JournalFile(sys, ledger, directory, fd), filled };
    } catch (error) {
      // Its room is given back also where something of it is mapped.
      sys.ftruncate(fd, 0);
      sys.unlink(draft);
      sys.close(fd);
      throw error;
    }
  }

  /**
   * The file behind a descriptor of an earlier daemon, which has locked it.
   *
   * @param fd owned by the file if it is one
   * @returns undefined when it is not the file that the path names
   */
  static adopt(
    sys: JournalFileSys,
    ledger: DescriptorLedger,
    directory: string,
    fd: number,
  ): JournalFile | undefined {
    return isNamed(sys, fd, journalPath(directory)) ? new JournalFile(sys, ledger, directory, fd) : undefined;
  }

  /** What it says counts no more: it is emptied, removed and closed. */
  discard(): void {
    this.#sys.ftruncate(this.fd, 0);
    this.remove();
    this.#ledger.close(this.fd);
  }

  /** Removes it, if it is still the one that its path names. */
  remove(): void {
    if (isNamed(this.#sys, this.fd, this.path)) this.#sys.unlink(this.path);
  }
}

/**
 * The descriptor, with the lock of whoever uses the file; closed where another daemon does.
 *
 * @throws SystemError
 */
function locked(sys: JournalFileSys, fd: number, path: string): number {
  const result = sys.ofdLock(fd, F_WRLCK, 0, 1);
  if (result >= 0) return fd;
  sys.close(fd);
  throw new SystemError("lock", path, result);
}

/** The file that is to become a journal: who has its lock may write and rename it. @throws SystemError */
function lockedDraft(sys: JournalFileSys, draft: string): number {
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const opened = must(sys.open(draft, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, MODE), "open", draft);
    const fd = locked(sys, opened, draft);
    if (isNamed(sys, fd, draft)) return fd;
    // Its maker has renamed it, and perhaps ended, before it was locked here.
    sys.close(fd);
  }
  throw new SystemError("lock", draft, EAGAIN);
}

/** Whether a path names the file that is open. */
function isNamed(sys: Pick<JournalFileSys, "fstat" | "lstat">, fd: number, path: string): boolean {
  const [opened, named] = [emptyStatus(), emptyStatus()];
  const known = sys.fstat(fd, opened) === 0 && sys.lstat(path, named) === 0;
  return known && opened.inodeLow === named.inodeLow && opened.inodeHigh === named.inodeHigh &&
    opened.devMajor === named.devMajor && opened.devMinor === named.devMinor;
}
