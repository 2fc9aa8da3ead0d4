import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { OtherHosts } from "./other_hosts.ts";
import type { FileIdentity } from "./file_identity.ts";
import type { LockDirectoriesParts } from "./lock_directories.ts";
import type { LockFiles } from "./lock_files.ts";
import type { LockObserver } from "./lock_observer.ts";
import type { Opened, SoughtFile } from "./open_files.ts";
import type { Owner } from "./owner.ts";
import type { OwnerWatch } from "./owner_watch.ts";
import type { PosixGuard } from "./posix_guard.ts";
import type { ForeignHolder } from "./refusal.ts";
import type { Settler } from "./settler.ts";

/** Finds who holds a file outside this daemon. Calls `done` exactly once, at once or later. */
export type FindHolder = (
  path: string,
  identity: FileIdentity,
  pid: number,
  done: (holder: ForeignHolder) => void,
) => void;

/** What the lock table needs. */
export interface LockTableParts extends Pick<LockDirectoriesParts, "places" | "allowed"> {
  files: LockFiles;
  /** Undefined where no other host locks the same. */
  others?: OtherHosts | undefined;
  ledger: DescriptorLedger;
  guard: PosixGuard;
  observer: LockObserver;
  /** Told of an owner before it gets anything. */
  watch: Pick<OwnerWatch, "begin" | "hasEnded" | "processOf">;
  /** Whether a process, as the daemon sees it, has a lock's disk open for writing. */
  opened: (pid: number, sought: SoughtFile) => Opened;
  /** Whether a paused guest may go on although another one has used its disk. */
  staleResumeAllowed: (owner: Owner) => boolean;
  /** Keeps the locks of owners whose process is gone until their last writes have landed. */
  settler: Pick<Settler, "settle" | "isSettling" | "isWaitedFor" | "reasonOf" | "abandon">;
  loop: Pick<EventLoop, "after" | "defer">;
  /** How long an ask waits for a lock whose owners are on their way out, in ms. */
  patience: () => number;
  findHolder: FindHolder;
  /** Unix milliseconds. */
  now: () => number;
}

/** How a lock is asked for. */
export interface AcquireOptions {
  readonly shared: boolean;
  readonly autocreate: boolean;
}
