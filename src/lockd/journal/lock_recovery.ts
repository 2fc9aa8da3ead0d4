import { descriptorTarget } from "../../os/process_files.ts";
import { F_RDLCK, F_UNLCK, F_WRLCK, O_CLOEXEC, O_RDWR } from "../../os/constants.ts";
import { EAGAIN, strerror } from "../../os/errno.ts";
import { LOCK_LENGTH, LOCK_START, openLockFile } from "../lockspace/lock_file.ts";
import { noHandle } from "../lockspace/lock_handle.ts";
import type { HandedLock, LockRecord, LockState } from "../lockspace/lock_record.ts";
import { lockText } from "../lockspace/lock_text.ts";
import { NOBODY } from "../lockspace/owner.ts";
import { shownLocks } from "../../os/shown_lock.ts";
import { slotName } from "./descriptor_names.ts";
import type { JournaledLock } from "./journaled_lock.ts";
import type { OwnerRecord } from "./journaled_lock.ts";
import type { OwnerJudge } from "./owner_judge.ts";
import type { Finding, RecoverySys } from "./recovered.ts";
import type { ReturnedSlots } from "./returned_slots.ts";
import type { Slot } from "./slots.ts";

const UNKNOWN_OWNER: OwnerRecord = { ...NOBODY, name: "unknown", start: 0 };
/** How a lock is that was not tried yet. */
const NOT_TRIED = "it ended with the last daemon, and its storage has not given it back yet";

/** What the recovery of locks works with. */
export interface LockRecoveryParts {
  readonly sys: Pick<RecoverySys, "open" | "read" | "close" | "ofdLock" | "readlink">;
  readonly slots: ReturnedSlots;
  readonly judge: OwnerJudge;
  /** Whether records may be missing: then a lock without a record is kept. */
  readonly damaged: boolean;
  /** Whether a path leads to storage that may not answer. */
  readonly mayHang: (path: string) => boolean;
  readonly find: (level: Finding["level"], message: string) => void;
}

/**
 * Brings the locks of an earlier life back: each is proven to be held, taken again, or known to be lost.
 */
export class LockRecovery {
  readonly #parts: LockRecoveryParts;
  readonly #locks: HandedLock<OwnerRecord>[] = [];
  readonly #dropped: LockRecord<OwnerRecord>[] = [];
  #nextId: number;

  /** @param nextId the id of the next lock, as far as the journal knows */
  constructor(parts: LockRecoveryParts, nextId: number) {
    this.#parts = parts;
    this.#nextId = nextId;
  }

  /** What is taken over. */
  get locks(): readonly HandedLock<OwnerRecord>[] {
    return this.#locks;
  }

  /** Locks that were stored and did not come back, of owners that may live. */
  get dropped(): readonly LockRecord<OwnerRecord>[] {
    return this.#dropped;
  }

  get nextId(): number {
    return this.#nextId;
  }

  /** Stored locks without a record: nobody was told of them, or everybody was told of their release. */
  unrecorded(recorded: Iterable<JournaledLock>): void {
    const names = new Set<string>();
    for (const { slot } of recorded) {
      if (slot !== undefined) names.add(slotName({ kind: "lock", index: slot }));
    }
    const { slots } = this.#parts;
    for (const { slot, fds } of slots.rest((each) => each.kind === "lock" && !names.has(slotName(each)))) {
      for (const fd of fds) this.#unrecorded(slot, fd);
    }
  }

  /** A lock that is recorded. */
  recorded({ record: said, lock, slot }: JournaledLock): void {
    const { slots, sys } = this.#parts;
    const record = this.#withUnknown(said);
    this.#nextId = Math.max(this.#nextId, record.id + 1);
    const wanted = this.#judgeAll(record);
    const fd = slots.take("lock", slot, (each) => this.#prove(record, each) === 0);
    if (fd === undefined || slot === undefined) {
      if (wanted && slot !== undefined) this.#dropped.push(record);
      return this.#takeAgain(record, wanted);
    }
    const place: Slot = { kind: "lock", index: slot };
    if (lock === "posix" && !wanted) {
      // A lock of libvirt's daemon ended with its process, and nobody is left who could write.
      this.#find("info", `${lockText(record)} ended with the daemon; its holder is gone too`);
      return slots.drop(place, [fd]);
    }
    const locked = this.#prove(record, fd);
    if (locked < 0) {
      const reason = `its kernel lock was missing after a crash and could not be taken again: ${
        strerror(-locked)
      }`;
      this.#find("error", `${lockText(record)} is in doubt: ${reason}`);
      // Nothing of it is locked: what is taken later is another descriptor.
      sys.close(fd);
      slots.forget(place);
      return this.#missing(record, { kind: "lost", reason });
    }
    slots.keep(place, record.id);
    if (lock === "posix") {
      this.#find(
        "warn",
        `${
          lockText(record)
        } was libvirt's own and ended with the daemon: it is taken again, but was free for a moment`,
      );
    }
    this.#hold(record, fd);
  }

  /**
   * Makes sure that a description holds its lock: the kernel shows it, or it is taken; to take a lock that
   * one has changes nothing. It is looked at first, because network storage whose server is dead would not
   * let the daemon start.
   *
   * @returns 0 or -errno
   */
  #prove({ shared }: LockRecord, fd: number): number {
    const { sys } = this.#parts;
    const shown = shownLocks(sys, fd).some((lock) => lock.kind === "ofd" && lock.shared === shared);
    return shown ? 0 : sys.ofdLock(fd, shared ? F_RDLCK : F_WRLCK, LOCK_START, LOCK_LENGTH);
  }

  /** The lock has ended with the last daemon. @param wanted whether anybody is left who could write */
  #takeAgain(record: LockRecord<OwnerRecord>, wanted: boolean): void {
    const { sys, mayHang } = this.#parts;
    if (!wanted) this.#find("info", `${lockText(record)} ended with the daemon; its holder is gone too`);
    const { path, shared } = record;
    // Nobody may wait for its storage: a helper process takes it again, also that of a holder that is gone,
    // whose last writes may be under way.
    if (mayHang(path)) return this.#missing(record, { kind: "awaited", reason: NOT_TRIED });
    const fd = openLockFile(sys, { path, shared, autocreate: false, followLinks: record.lockspace === "" });
    if (fd < 0) return wanted ? this.#unopened(record, fd) : undefined;
    const locked = sys.ofdLock(fd, shared ? F_RDLCK : F_WRLCK, LOCK_START, LOCK_LENGTH);
    if (locked === 0) {
      if (wanted) {
        this.#find(
          "warn",
          `${lockText(record)} ended with the daemon: it is taken again, but was free for a while`,
        );
      }
      return this.#hold(record, fd);
    }
    sys.close(fd);
    if (!wanted) return;
    const who = locked === -EAGAIN ? "somebody else holds it now" : strerror(-locked);
    this.#find(
      "error",
      `${
        lockText(record)
      }: it was lost with the daemon and could not be taken again: ${who}; its guest runs unprotected`,
    );
    this.#missing(record, { kind: "lost", reason: who });
  }

  #unopened(record: LockRecord<OwnerRecord>, error: number): void {
    const reason = strerror(-error);
    this.#find("error", `${lockText(record)} is lost, its guest runs unprotected: ${reason}`);
    this.#missing(record, { kind: "lost", reason: `Unable to open resource ${record.path}: ${reason}` });
  }

  #missing(record: LockRecord<OwnerRecord>, state: LockState): void {
    const place = this.#parts.sys.open("/dev/null", O_RDWR | O_CLOEXEC, 0);
    this.#locks.push({ record: { ...record, state }, handle: noHandle(Math.max(place, -1)) });
  }

  /** Whatever libvirt's daemon made it, it is a lock of the description by now. */
  #hold(record: LockRecord<OwnerRecord>, fd: number): void {
    this.#locks.push({ record, handle: { kind: "file", fd, lock: "ofd" } });
  }

  #unrecorded(slot: Slot, fd: number): void {
    const { sys, slots, damaged } = this.#parts;
    if (damaged) return this.#unexplained(slot, fd);
    sys.ofdLock(fd, F_UNLCK, LOCK_START, LOCK_LENGTH);
    slots.drop(slot, [fd]);
  }

  #unexplained(slot: Slot, fd: number): void {
    const { sys, slots } = this.#parts;
    const id = this.#nextId++;
    slots.keep(slot, id);
    const path = descriptorTarget(sys, "self", fd);
    const name = typeof path === "string" ? path : `descriptor ${fd}`;
    const reason =
      "the journal is damaged and does not say whose it is; it is kept until the service is stopped";
    this.#find("error", `Lock on ${name}: ${reason}`);
    this.#hold({
      id,
      lockspace: "",
      name,
      path: name,
      shared: false,
      autocreate: false,
      holdings: [{ owner: UNKNOWN_OWNER, since: 0 }],
      state: { kind: "doubtful", reason },
    }, fd);
  }

  /** Of a damaged journal nobody knows whether others have joined who share a lock. */
  #withUnknown(record: LockRecord<OwnerRecord>): LockRecord<OwnerRecord> {
    if (!this.#parts.damaged || !record.shared) return record;
    this.#find(
      "error",
      `${
        lockText(record)
      }: the journal is damaged and does not say who else shares it; it is kept for them until somebody releases it`,
    );
    return { ...record, holdings: [...record.holdings, { owner: UNKNOWN_OWNER, since: 0 }] };
  }

  /** Looks for the owners' processes. @returns whether any may live */
  #judgeAll({ holdings }: LockRecord<OwnerRecord>): boolean {
    const { judge } = this.#parts;
    return holdings.map(({ owner }) => judge.judge(owner)).some((verdict) => verdict !== "dead");
  }

  #find(level: Finding["level"], message: string): void {
    this.#parts.find(level, message);
  }
}
