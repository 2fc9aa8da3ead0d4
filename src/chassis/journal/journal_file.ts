import { F_WRLCK, O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_RDWR } from "../../os/constants.ts";
import { EEXIST, ENOENT, ENOTDIR } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { emptyStatus, type FileSys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import { journalPath } from "./layout.ts";

type JournalFileSys = Pick<
  FileSys,
  "open" | "close" | "mkdir" | "ofdLock" | "fstat" | "lstat" | "ftruncate" | "unlink"
>;

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
   * Opens and locks the file.
   *
   * @param make whether it is made when it is not there, with its directory
   * @returns undefined when it is not there and not to be made
   * @throws SystemError, also when another daemon uses it
   */
  static open(
    sys: JournalFileSys,
    ledger: DescriptorLedger,
    directory: string,
    make: boolean,
  ): JournalFile | undefined {
    if (make) {
      const made = sys.mkdir(directory, 0o700);
      if (made < 0 && made !== -EEXIST) throw new SystemError("mkdir", directory, made);
    }
    const path = journalPath(directory);
    const fd = sys.open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | (make ? O_CREAT : 0), 0o600);
    if (!make && (fd === -ENOENT || fd === -ENOTDIR)) return undefined;
    must(fd, "open", path);
    const locked = sys.ofdLock(fd, F_WRLCK, 0, 1);
    if (locked >= 0) return new JournalFile(sys, ledger, directory, fd);
    sys.close(fd);
    throw new SystemError("lock", path, locked);
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

/** Whether a path names the file that is open. */
function isNamed(sys: Pick<JournalFileSys, "fstat" | "lstat">, fd: number, path: string): boolean {
  const [opened, named] = [emptyStatus(), emptyStatus()];
  const known = sys.fstat(fd, opened) === 0 && sys.lstat(path, named) === 0;
  return known && opened.inodeLow === named.inodeLow && opened.inodeHigh === named.inodeHigh &&
    opened.devMajor === named.devMajor && opened.devMinor === named.devMinor;
}
