import { F_WRLCK, O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_RDWR } from "../../os/constants.ts";
import { EACCES, EAGAIN, ELOOP } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { emptyStatus, type FileSys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import { decodeText, encodeText } from "../../os/text.ts";
import type { Identity } from "../config/identity.ts";
import { ExitCode, StartError } from "./start_error.ts";

const MODE = 0o644;
const MAX_TRIES = 10;

/**
 * The PID file: locked while the daemon lives, so that there is one daemon only. It also tells a stale socket
 * from a live one.
 */
export class PidFile {
  readonly path: string;
  readonly #sys: FileSys;
  readonly #ledger: DescriptorLedger;
  readonly #fd: number;

  /** @param fd open and locked; owned by the PID file from now on */
  constructor(sys: FileSys, ledger: DescriptorLedger, path: string, fd: number) {
    this.#sys = sys;
    this.#ledger = ledger;
    this.path = path;
    this.#fd = ledger.own(fd, "pid-file");
  }

  /** The locked descriptor: handed over at re-exec, so that nobody can slip in between. */
  get fd(): number {
    return this.#fd;
  }

  /**
   * Locks and writes the PID file.
   *
   * The lock is an open-file-description lock on byte 0: it conflicts with libvirt's daemon's POSIX lock.
   *
   * @throws StartError when another daemon has it
   */
  static acquire(
    sys: FileSys,
    ledger: DescriptorLedger,
    path: string,
    pid: number,
    { name }: Pick<Identity, "name">,
  ): PidFile {
    const opened = emptyStatus();
    const named = emptyStatus();
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      const fd = sys.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE);
      if (fd < 0) {
        const error = new SystemError("Open PID file", path, fd);
        const message = fd === -ELOOP ? `Open PID file ${path}: it is a symbolic link` : error.message;
        throw new StartError(ExitCode.USAGE, message, { cause: error });
      }
      const locked = sys.ofdLock(fd, F_WRLCK, 0, 1);
      if (locked < 0) {
        const holder = new Uint8Array(32);
        const length = sys.pread(fd, holder, 0);
        sys.close(fd);
        if (locked !== -EAGAIN && locked !== -EACCES) {
          const error = new SystemError("Lock PID file", path, locked);
          throw new StartError(ExitCode.USAGE, error.message, { cause: error });
        }
        const who = length > 0 ? ` (pid ${decodeText(holder, 0, length).trim()})` : "";
        throw new StartError(ExitCode.USAGE, `Lock PID file ${path}: another ${name}${who} has it`);
      }
      // A daemon that was just ending may have unlinked the file that we opened.
      must(sys.fstat(fd, opened), "fstat", path);
      const current = sys.lstat(path, named);
      if (current < 0 || opened.inodeLow !== named.inodeLow || opened.inodeHigh !== named.inodeHigh) {
        sys.close(fd);
        continue;
      }
      const file = new PidFile(sys, ledger, path, fd);
      try {
        file.write(pid);
      } catch (error) {
        file.remove();
        throw error;
      }
      return file;
    }
    throw new StartError(ExitCode.USAGE, `Open PID file ${path}: it keeps being replaced`);
  }

  /** Writes the pid, without a newline as libvirt does. @throws StartError */
  write(pid: number): void {
    const text = encodeText(String(pid));
    // Over what a daemon before this one has left: where /run is full, room that was given up for it is not
    // had again.
    const written = this.#sys.pwrite(this.#fd, text, 0);
    const cut = written < 0 ? written : this.#sys.ftruncate(this.#fd, text.length);
    this.#sys.fchmod(this.#fd, MODE);
    if (cut < 0) {
      const error = new SystemError("Write PID file", this.path, cut);
      throw new StartError(ExitCode.USAGE, error.message, { cause: error });
    }
    if (written !== text.length) {
      throw new StartError(ExitCode.USAGE, `Write PID file ${this.path}: it took ${written} bytes`);
    }
  }

  /** Gives up the lock and unlinks the file, unless somebody has put another one in its place. */
  remove(): void {
    const [opened, named] = [emptyStatus(), emptyStatus()];
    const known = this.#sys.fstat(this.#fd, opened) === 0 && this.#sys.lstat(this.path, named) === 0;
    if (known && opened.inodeLow === named.inodeLow && opened.inodeHigh === named.inodeHigh) {
      this.#sys.unlink(this.path);
    }
    this.#ledger.close(this.#fd);
  }
}
