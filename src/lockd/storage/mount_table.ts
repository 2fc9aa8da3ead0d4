import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { EPOLLPRI, O_CLOEXEC, O_RDONLY } from "../../os/constants.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { FileSys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import { MountTree, parseMounts } from "./mount_tree.ts";
import { readText } from "../../os/read_file.ts";

const MOUNT_INFO = "/proc/self/mountinfo";

/**
 * The mounts as they are at this moment.
 *
 * @throws SystemError when the list cannot be read
 */
export function readMounts(sys: Pick<FileSys, "open" | "pread" | "close">): MountTree {
  const fd = must(sys.open(MOUNT_INFO, O_RDONLY | O_CLOEXEC, 0), "open", MOUNT_INFO);
  const text = readText(sys, fd);
  sys.close(fd);
  if (typeof text === "number") throw new SystemError("read", MOUNT_INFO, text);
  return new MountTree(parseMounts(text));
}

/**
 * The mounts this process sees, kept current: the kernel says through the event loop that something was
 * mounted or unmounted, and the list is read again when it is next asked for.
 */
export class MountTable {
  readonly #sys: Pick<FileSys, "pread">;
  readonly #loop: Pick<EventLoop, "add" | "remove">;
  readonly #ledger: DescriptorLedger;
  readonly #unreadable: (error: SystemError) => void;
  readonly #fd: number;
  #tree: MountTree;
  #stale = false;

  /**
   * @param unreadable told when the list could not be read again: the one before stays in use, and the next
   *   asking tries again
   * @throws SystemError when the list cannot be read at all
   */
  constructor(parts: {
    sys: Pick<FileSys, "open" | "pread">;
    loop: Pick<EventLoop, "add" | "remove">;
    ledger: DescriptorLedger;
    unreadable: (error: SystemError) => void;
  }) {
    this.#sys = parts.sys;
    this.#loop = parts.loop;
    this.#ledger = parts.ledger;
    this.#unreadable = parts.unreadable;
    const fd = must(parts.sys.open(MOUNT_INFO, O_RDONLY | O_CLOEXEC, 0), "open", MOUNT_INFO);
    this.#fd = parts.ledger.own(fd, "mounts");
    // Watched before it is read: a change in between is not missed. proc_pid_mountinfo(5).
    parts.loop.add(fd, EPOLLPRI, () => this.#stale = true);
    const text = readText(this.#sys, fd);
    if (typeof text === "number") {
      this.close();
      throw new SystemError("read", MOUNT_INFO, text);
    }
    this.#tree = new MountTree(parseMounts(text));
  }

  /** The mounts as they are now. */
  get tree(): MountTree {
    if (this.#stale) this.#read();
    return this.#tree;
  }

  /** The list is read again when it is next asked for, whether the kernel has told of a change or not. */
  refresh(): void {
    this.#stale = true;
  }

  /** Stops watching and closes the descriptor. */
  close(): void {
    this.#loop.remove(this.#fd);
    this.#ledger.close(this.#fd);
  }

  #read(): void {
    const text = readText(this.#sys, this.#fd);
    if (typeof text === "number") return this.#unreadable(new SystemError("read", MOUNT_INFO, text));
    this.#stale = false;
    this.#tree = new MountTree(parseMounts(text));
  }
}
