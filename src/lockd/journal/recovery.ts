import { F_RDLCK, F_SETFD, F_UNLCK, F_WRLCK, FD_CLOEXEC, O_CLOEXEC, O_RDWR } from "../../os/constants.ts";
import { EAGAIN, ESRCH, strerror } from "../../os/errno.ts";
import type { FileSys, PeerCredentials, ProcessSys, SocketSys } from "../../os/sys.ts";
import { lockText } from "../lockspace/lock_text.ts";
import type { DyingHolder, EndedOwner } from "../lockspace/holder_reaper.ts";
import { LOCK_LENGTH, LOCK_START, openLockFile } from "../lockspace/lock_file.ts";
import { isOwnersProcess, NOBODY, type OwnerKey, ownerKey } from "../lockspace/owner.ts";
import type { OwnerProcess } from "../lockspace/owner_watch.ts";
import { processState } from "../lockspace/process_state.ts";
import { shownLocks } from "../lockspace/shown_lock.ts";
import { clientKey, idOf, ordinalOf } from "../../chassis/rpc/client_key.ts";
import { JOURNAL_NAME, parseSlot, slotName } from "./descriptor_names.ts";
import type { StoredObject } from "./journal.ts";
import type { InFlight } from "./in_flight.ts";
import type {
  JournaledClient,
  JournaledDying,
  JournaledInput,
  JournaledResource,
  JournalState,
} from "./journal_state.ts";
import type { OwnerRecord, ParkedRecord } from "./operations.ts";
import { clientKind, serverOf, type Slot, type SlotKind } from "./slots.ts";

/** A descriptor that came back from the store. */
export interface ReturnedDescriptor {
  readonly fd: number;
  readonly name: string;
}

/** A lock that is taken over. */
export interface RecoveredLock extends Omit<JournaledResource, "doubtful" | "lock" | "slot"> {
  readonly fd: number;
  readonly doubtful: string | undefined;
  /** Why it is not taken again yet; `fd` only keeps its place then. */
  readonly awaited?: string;
}

/** A client that is taken over. */
export interface RecoveredClient {
  readonly record: JournaledClient;
  readonly fd: number;
  readonly pidfd: number;
  readonly input: JournaledInput;
  readonly output: Uint8Array;
}

/** What an earlier life has left and this one goes on with. The descriptors belong to whoever takes it. */
export interface Recovered {
  readonly lockspaces: readonly string[];
  readonly locks: readonly RecoveredLock[];
  readonly clients: readonly RecoveredClient[];
  /** Holders whose process was being ended and still lives. */
  readonly dying: readonly DyingHolder[];
  /** Locks that were released for owners whose process lives. */
  readonly parked: readonly ParkedRecord[];
  /** Owners whose process lives; not those that are dying. */
  readonly watched: readonly OwnerProcess[];
  /** Owners that are gone: their locks have to be released. */
  readonly gone: readonly EndedOwner[];
  /** Locks that ended with the daemon and could not be taken again. */
  readonly lost: readonly JournaledResource[];
  /** Names that the store must forget. */
  readonly unwanted: readonly string[];
  /** Slots of what is taken over from the store. */
  readonly slots: readonly StoredObject[];
  readonly nextResource: number;
  readonly nextClient: readonly number[];
  /** What the administrator should know. */
  readonly findings: readonly Finding[];
}

/** Something that was found or done. */
export interface Finding {
  readonly level: "info" | "warn" | "error";
  readonly message: string;
}

/** What is known of an owner's process. */
type Verdict = "alive" | "dead" | "unjudged";

type RecoverySys =
  & Pick<FileSys, "open" | "read" | "close" | "ofdLock" | "fcntl" | "readlink">
  & Pick<SocketSys, "peerCredentials" | "peerPidfd">
  & Pick<ProcessSys, "pidfdOpen">;

/** What there is to recover from. */
export interface RecoveryParts {
  readonly sys: RecoverySys;
  readonly state: JournalState;
  readonly inFlight: InFlight;
  /** What the store gave back; without a store, none. */
  readonly descriptors: readonly ReturnedDescriptor[];
  /** Whether records may be missing: then a lock without a record is kept. */
  readonly damaged: boolean;
  /** Whether a path leads to storage that may not answer. */
  readonly mayHang: (path: string) => boolean;
  /** Whether descriptors were kept at all. */
  readonly stored: boolean;
  /** Unix milliseconds. */
  readonly now: number;
}

/** Matches descriptors with what the journal says of them, in whatever order they came. */
export function recover(parts: RecoveryParts): Recovered {
  return new Recovery(parts).run();
}

class Recovery {
  readonly #parts: RecoveryParts;
  readonly #locks: RecoveredLock[] = [];
  readonly #clients: RecoveredClient[] = [];
  readonly #dying: DyingHolder[] = [];
  readonly #watched: OwnerProcess[] = [];
  readonly #gone = new Map<OwnerKey, EndedOwner>();
  readonly #verdicts = new Map<OwnerKey, Verdict>();
  readonly #lost: JournaledResource[] = [];
  readonly #unwanted: string[] = [];
  readonly #findings: Finding[] = [];
  /** Descriptors by name; of one name there may be two when a message to the manager was lost. */
  readonly #returned = new Map<string, number[]>();
  readonly #slots: StoredObject[] = [];
  #nextResource: number;
  readonly #nextClient: number[];

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
    this.#nextResource = parts.state.nextResource;
    this.#nextClient = [...parts.state.nextClient];
  }

  run(): Recovered {
    const { state } = this.#parts;
    for (const { fd, name } of this.#parts.descriptors) this.#sort(fd, name);
    // First, because one of them may be in the way of a recorded one whose release was not finished.
    this.#unrecordedLocks();
    for (const [pid, holder] of state.dying) this.#dyingHolder(pid, holder);
    for (const record of state.resources.values()) this.#lock(record);
    for (const record of state.clients.values()) this.#client(record);
    this.#leftOver();
    this.#reportUnjudged();
    return {
      lockspaces: [...state.lockspaces],
      locks: this.#locks,
      clients: this.#clients,
      dying: this.#dying,
      parked: [...state.parked.values()].filter(({ owner }) => this.#judge(owner) === "alive"),
      watched: this.#watched,
      gone: [...this.#gone.values()],
      lost: this.#lost,
      unwanted: this.#unwanted,
      slots: this.#slots,
      nextResource: this.#nextResource,
      nextClient: this.#nextClient,
      findings: this.#findings,
    };
  }

  #sort(fd: number, name: string): void {
    if (name === JOURNAL_NAME || parseSlot(name) === undefined) return;
    this.#parts.sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
    const same = this.#returned.get(name);
    if (same === undefined) this.#returned.set(name, [fd]);
    else same.push(fd);
  }

  /** Descriptors of a slot, which are this object's afterwards. */
  #take(kind: SlotKind, index: number | undefined): number[] {
    if (index === undefined) return [];
    const name = slotName({ kind, index });
    const fds = this.#returned.get(name) ?? [];
    this.#returned.delete(name);
    return fds;
  }

  /** Of several descriptors of one slot the first that is right is kept. */
  #choose(fds: readonly number[], right: (fd: number) => boolean): number | undefined {
    const chosen = fds.length === 1 ? fds[0] : fds.find(right) ?? fds[0];
    for (const fd of fds) if (fd !== chosen) this.#parts.sys.close(fd);
    return chosen;
  }

  #unrecordedLocks(): void {
    const recorded = new Set<string>();
    for (const { slot } of this.#parts.state.resources.values()) {
      if (slot !== undefined) recorded.add(slotName({ kind: "lock", index: slot }));
    }
    for (const [name, fds] of this.#returned) {
      const slot = parseSlot(name);
      if (slot?.kind !== "lock" || recorded.has(name)) continue;
      this.#returned.delete(name);
      for (const fd of fds) this.#unrecorded(slot, fd);
    }
  }

  /** What is in the store and not in the journal, except locks. */
  #leftOver(): void {
    for (const [name, fds] of this.#returned) {
      const { kind, index } = parseSlot(name) as Slot;
      const ordinal = serverOf(kind);
      const [fd, ...others] = fds;
      if (ordinal === undefined || fd === undefined) {
        for (const each of fds) this.#parts.sys.close(each);
        this.#unwanted.push(name);
        continue;
      }
      for (const each of others) this.#parts.sys.close(each);
      this.#newcomer(ordinal, { kind, index }, fd);
    }
  }

  #lock(record: JournaledResource): void {
    this.#nextResource = Math.max(this.#nextResource, record.id + 1);
    const wanted = this.#judgeAll(record);
    const fd = this.#choose(this.#take("lock", record.slot), (each) => this.#prove(record, each) === 0);
    if (fd === undefined) return this.#takeAgain(record, wanted);
    if (record.lock === "posix" && !wanted) return this.#drop(record, fd);
    this.#slots.push({ kind: "lock", index: record.slot as number, id: record.id });
    const locked = this.#prove(record, fd);
    if (locked === 0) {
      if (record.lock === "posix") {
        this.#find(
          "warn",
          `${
            lockText(record)
          } was libvirt's own and ended with the daemon: it is taken again, but was free for a moment`,
        );
      }
      return this.#hold(record, fd, record.doubtful);
    }
    const reason = `its kernel lock was missing after a crash and could not be taken again: ${
      strerror(-locked)
    }`;
    this.#find("error", `${lockText(record)} is in doubt: ${reason}`);
    this.#hold(record, fd, reason);
  }

  /**
   * Makes sure that a description holds its lock: the kernel shows it, or it is taken; to take a lock that
   * one has changes nothing. It is looked at first, because network storage whose server is dead would not
   * let the daemon start.
   *
   * @returns 0 or -errno
   */
  #prove({ shared }: JournaledResource, fd: number): number {
    const { sys } = this.#parts;
    const shown = shownLocks(sys, fd).some((lock) => lock.kind === "ofd" && lock.shared === shared);
    return shown ? 0 : sys.ofdLock(fd, shared ? F_RDLCK : F_WRLCK, LOCK_START, LOCK_LENGTH);
  }

  /** A lock of libvirt's daemon ended with its process, and nobody is left who could write. */
  #drop(record: JournaledResource, fd: number): void {
    this.#find("info", `${lockText(record)} ended with the daemon; its holder is gone too`);
    this.#parts.sys.close(fd);
    this.#unwanted.push(slotName({ kind: "lock", index: record.slot as number }));
  }

  /** The lock has ended with the last daemon. @param wanted whether anybody is left who could write */
  #takeAgain(record: JournaledResource, wanted: boolean): void {
    const { sys } = this.#parts;
    if (!wanted) this.#find("info", `${lockText(record)} ended with the daemon; its holder is gone too`);
    const { path, shared } = record;
    if (this.#parts.mayHang(path)) return wanted ? this.#await(record) : undefined;
    const fd = openLockFile(sys, { path, shared, autocreate: false, followLinks: record.lockspace === "" });
    if (fd < 0) {
      if (wanted) {
        this.#lost.push(record);
        this.#find("error", `${lockText(record)} is lost, its guest runs unprotected: ${strerror(-fd)}`);
      }
      return;
    }
    const locked = sys.ofdLock(fd, record.shared ? F_RDLCK : F_WRLCK, LOCK_START, LOCK_LENGTH);
    if (locked === 0) {
      if (wanted) {
        this.#find(
          "warn",
          `${lockText(record)} ended with the daemon: it is taken again, but was free for a while`,
        );
      }
      return this.#hold(record, fd, record.doubtful);
    }
    if (!wanted) {
      sys.close(fd);
      return;
    }
    const who = locked === -EAGAIN ? "somebody else holds it now" : strerror(-locked);
    const reason = `it was lost with the daemon and could not be taken again: ${who}`;
    this.#find("error", `${lockText(record)}: ${reason}; its guest runs unprotected`);
    this.#hold(record, fd, reason);
  }

  /** Its storage may not answer, and nobody may wait for that: a helper process takes it again. */
  #await(record: JournaledResource): void {
    const fd = this.#parts.sys.open("/dev/null", O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) {
      this.#lost.push(record);
      return this.#find("error", `${lockText(record)} is lost, its guest runs unprotected: ${strerror(-fd)}`);
    }
    const { lock: _, slot: __, ...rest } = record;
    const awaited = "it ended with the last daemon, and its storage has not given it back yet";
    this.#locks.push({ ...rest, fd, doubtful: undefined, awaited });
  }

  #hold(record: JournaledResource, fd: number, doubtful: string | undefined): void {
    const { lock: _, slot: __, ...rest } = record;
    this.#locks.push({ ...rest, fd, doubtful });
  }

  /** Nobody was told of this lock, or everybody was told of its release. */
  #unrecorded({ kind, index }: Slot, fd: number): void {
    const { sys, damaged } = this.#parts;
    if (damaged) {
      const id = this.#nextResource++;
      this.#slots.push({ kind, index, id });
      const path = sys.readlink(`/proc/self/fd/${fd}`);
      const name = typeof path === "string" ? path : `descriptor ${fd}`;
      const doubtful =
        "the journal is damaged and does not say whose it is; it is kept until the service is stopped";
      this.#find("error", `Lock on ${name}: ${doubtful}`);
      this.#locks.push({
        id,
        lockspace: "",
        name,
        path: name,
        shared: false,
        autocreate: false,
        holdings: [{ owner: UNKNOWN_OWNER, since: 0 }],
        fd,
        doubtful,
      });
      return;
    }
    sys.ofdLock(fd, F_UNLCK, LOCK_START, LOCK_LENGTH);
    sys.close(fd);
    this.#unwanted.push(slotName({ kind, index }));
  }

  #client(record: JournaledClient): void {
    const { sys } = this.#parts;
    const ordinal = ordinalOf(record.key);
    const kind = clientKind(ordinal);
    this.#nextClient[ordinal] = Math.max(this.#nextClient[ordinal] ?? 1, idOf(record.key) + 1);
    const fd = this.#choose(
      this.#take(kind, record.slot),
      (candidate) => this.#peerOf(candidate) === record.pid,
    );
    // Its connection is lost. A holder must not be killed for that: nobody but the daemon has ended it.
    if (fd === undefined) return;
    const pidfd = this.#peerOf(fd) === record.pid ? this.#peerPidfd(record, fd) : undefined;
    if (pidfd === undefined) {
      sys.close(fd);
      this.#unwanted.push(slotName({ kind, index: record.slot as number }));
      return;
    }
    this.#slots.push({ kind, index: record.slot as number, id: record.key });
    this.#clients.push(this.#recovered(record, fd, pidfd));
  }

  /** Pid of the process at the other end; undefined when it is no socket. */
  #peerOf(fd: number): number | undefined {
    const credentials: PeerCredentials = { pid: 0, uid: 0, gid: 0 };
    return this.#parts.sys.peerCredentials(fd, credentials) < 0 ? undefined : credentials.pid;
  }

  /**
   * A pidfd of the process that connected, -1 when it is gone, undefined when another process has its pid.
   */
  #peerPidfd(record: JournaledClient, fd: number): number | undefined {
    const { sys } = this.#parts;
    const direct = sys.peerPidfd(fd);
    if (direct >= 0) return direct;
    if (direct === -ESRCH) return -1;
    // An older kernel does not tell: the start time of a holder was recorded for this.
    const { owner } = record;
    const start = owner !== undefined && isOwnersProcess(owner, record.pid) ? owner.start : 0;
    if (start !== 0 && processState(sys, record.pid)?.startTime !== start) return undefined;
    const opened = record.pid > 0 ? sys.pidfdOpen(record.pid) : -1;
    return opened < 0 ? -1 : opened;
  }

  /** Connected in the last moment: stored, but not recorded. */
  #newcomer(ordinal: number, { kind, index }: Slot, fd: number): void {
    const { sys, now } = this.#parts;
    const id = this.#nextClient[ordinal] ?? 1;
    this.#nextClient[ordinal] = id + 1;
    const key = clientKey(ordinal, id);
    this.#slots.push({ kind, index, id: key });
    const credentials: PeerCredentials = { pid: 0, uid: 0, gid: 0 };
    sys.peerCredentials(fd, credentials);
    const record = { key, ...credentials, since: now, owner: undefined, restricted: false };
    this.#clients.push(this.#recovered(record, fd, this.#peerPidfd(record, fd) ?? -1));
  }

  #recovered(record: JournaledClient, fd: number, pidfd: number): RecoveredClient {
    const { inFlight } = this.#parts;
    return {
      record,
      fd,
      pidfd,
      input: inFlight.inputs.get(record.key) ?? { bytes: new Uint8Array(0), dropped: 0 },
      output: inFlight.outputs.get(record.key) ?? new Uint8Array(0),
    };
  }

  #dyingHolder(pid: number, { key, since, killed, slot }: JournaledDying): void {
    const stored = this.#choose(this.#take("dying holder", slot), () => true);
    if (stored !== undefined) this.#slots.push({ kind: "dying holder", index: slot as number, id: pid });
    const pidfd = stored ?? this.#open(pid, this.#startOf(key));
    if (pidfd < 0) this.#gone.set(key, { key, pid });
    else this.#dying.push({ key, pid, pidfd, since, killed });
    this.#verdicts.set(key, pidfd < 0 ? "dead" : "alive");
  }

  #startOf(key: OwnerKey): number {
    for (const { holdings } of this.#parts.state.resources.values()) {
      const found = holdings.find(({ owner }) => ownerKey(owner) === key && owner.start !== 0);
      if (found !== undefined) return found.owner.start;
    }
    return 0;
  }

  /** Looks for the owners' processes. @returns whether any may live */
  #judgeAll({ holdings }: JournaledResource): boolean {
    return holdings.map(({ owner }) => this.#judge(owner)).some((verdict) => verdict !== "dead");
  }

  #judge(owner: OwnerRecord): Verdict {
    const key = ownerKey(owner);
    const known = this.#verdicts.get(key);
    if (known !== undefined && known !== "unjudged") return known;
    const verdict = this.#look(key, owner);
    this.#verdicts.set(key, verdict);
    return verdict;
  }

  /** Only the start time of a process tells it from a later one of the same pid. */
  #look(key: OwnerKey, { pid, hostPid = pid, start }: OwnerRecord): Verdict {
    if (start === 0) return "unjudged";
    const pidfd = this.#open(hostPid, start);
    if (pidfd >= 0) {
      this.#watched.push({ key, pid: hostPid, start, pidfd });
      return "alive";
    }
    if (pidfd !== -ESRCH) return "unjudged";
    this.#gone.set(key, { key, pid: hostPid });
    return "dead";
  }

  /** A pidfd of the process with this pid and start time, else negative. */
  #open(pid: number, start: number): number {
    const { sys } = this.#parts;
    const pidfd = sys.pidfdOpen(pid);
    if (pidfd < 0) return pidfd;
    // After it is open the pid cannot be given to another process without this being seen.
    const state = processState(sys, pid);
    if (start !== 0 && state?.startTime === start) return pidfd;
    sys.close(pidfd);
    return -ESRCH;
  }

  /** What nobody can say of is kept: the administrator has to know of it. */
  #reportUnjudged(): void {
    const connected = this.#clients.filter(({ pidfd }) => pidfd >= 0).map(({ record }) => record);
    for (const lock of this.#locks) {
      const unjudged = lock.holdings.some(({ owner }) =>
        this.#verdicts.get(ownerKey(owner)) === "unjudged" &&
        !connected.some((client) => client.owner !== undefined && isOwnersProcess(owner, client.pid))
      );
      if (!unjudged) continue;
      const why = "nothing tells whether its process still runs";
      this.#find("warn", `${lockText(lock)} is kept: ${why}; virtlockd release frees it`);
    }
  }

  #find(level: Finding["level"], message: string): void {
    this.#findings.push({ level, message });
  }
}

const UNKNOWN_OWNER: OwnerRecord = { ...NOBODY, name: "unknown", start: 0 };
