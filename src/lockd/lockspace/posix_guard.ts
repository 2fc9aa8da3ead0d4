import { takeAt } from "../../base/lists.ts";
import { type DescriptorLedger } from "../../os/ledger.ts";
import { type FileIdentity, sameFile } from "./file_identity.ts";

/**
 * Keeps POSIX locks inherited from libvirt's daemon alive: closing ANY descriptor of a file drops them, so a
 * descriptor of a file that is guarded is parked and closed when the last POSIX lock on that file has gone.
 */
export class PosixGuard {
  readonly #ledger: DescriptorLedger;
  readonly #guarded: { identity: FileIdentity; shared: boolean }[] = [];
  readonly #parked: { fd: number; identity: FileIdentity }[] = [];

  constructor(ledger: DescriptorLedger) {
    this.#ledger = ledger;
  }

  /** Descriptors that wait to be closed; they must survive an exec too. */
  get parked(): readonly { fd: number; identity: FileIdentity }[] {
    return this.#parked;
  }

  /** Whether any POSIX lock is guarded. */
  get active(): boolean {
    return this.#guarded.length > 0;
  }

  /** Whether a file has a POSIX lock of this process. */
  guards(identity: FileIdentity): boolean {
    return this.#guarded.some((guarded) => sameFile(guarded.identity, identity));
  }

  /**
   * Whether a lock on a file would be refused because of a POSIX lock of this process: then the file is
   * better not opened.
   */
  refuses(identity: FileIdentity, shared: boolean): boolean {
    return this.#guarded.some((guarded) =>
      sameFile(guarded.identity, identity) && !(shared && guarded.shared)
    );
  }

  /** Counts one more POSIX lock on a file. */
  protect(identity: FileIdentity, shared: boolean): void {
    this.#guarded.push({ identity, shared });
  }

  /** Takes over a descriptor that an earlier image parked. */
  adoptParked(fd: number, identity: FileIdentity): void {
    this.#parked.push({ fd, identity });
  }

  /**
   * One POSIX lock on a file has been given up; when it was the last, parked descriptors of the file are
   * closed.
   */
  unprotect(identity: FileIdentity): void {
    takeAt(this.#guarded, this.#guarded.findIndex((guarded) => sameFile(guarded.identity, identity)));
    if (this.guards(identity)) return;
    for (let at = this.#parked.length - 1; at >= 0; at--) {
      const entry = this.#parked[at] as { fd: number; identity: FileIdentity };
      if (!sameFile(entry.identity, identity)) continue;
      takeAt(this.#parked, at);
      this.#ledger.close(entry.fd);
    }
  }

  /** Closes a lock file's descriptor, now or when no POSIX lock on the file is left. */
  close(fd: number, identity: FileIdentity): void {
    if (this.#guarded.length > 0 && this.guards(identity)) {
      if (!this.#ledger.has(fd)) this.#ledger.own(fd, "parked");
      this.#parked.push({ fd, identity });
      return;
    }
    if (!this.#ledger.has(fd)) this.#ledger.own(fd, "lock");
    this.#ledger.close(fd);
  }
}
