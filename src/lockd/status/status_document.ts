import type { LockReach } from "../cluster/cluster_parts.ts";
import type { ClusterStatus } from "../cluster/cluster_status.ts";
import type { Judgement } from "../lockspace/holder_reaper.ts";
import type { LockState } from "../lockspace/lock_record.ts";
import type { LockKind } from "../lockspace/lock_file.ts";

// The JSON of the status program: what `virtlockd locks --json` and its sisters print; docs/json.md describes
// it. New fields carry their unit in their name. Those that do not are left out in the version after the
// next.

/** State of the parts that not every daemon has. */
export interface Sections {
  /** How the storage of each mount that may hang answers, by its mount point. */
  readonly storage: Readonly<Record<string, string>>;
  /** What survives a crash; absent where there is no journal. */
  readonly journal?: {
    readonly kind: "store" | "file";
    readonly bytes: number;
    /** Why it cannot be written; absent when it can. */
    readonly failed?: string;
  };
  /** Where descriptors are kept. */
  readonly store?:
    | { readonly present: false }
    | {
      readonly present: true;
      readonly stored: number;
      readonly limit: number;
      /** Descriptors that it could not take. */
      readonly refused: number;
      /** Messages that the service manager has not taken yet. */
      readonly queued: number;
      /** Whether the service manager keeps what it was sent. An older daemon does not know. */
      readonly kept?: boolean;
      /** Why it does not. */
      readonly reason?: string;
      /** How often it was noticed that the service manager has dropped something. */
      readonly drops?: number;
    };
  /** The host's membership in a cluster; absent where it is in none. */
  readonly cluster?: ClusterStatus;
}

/** How the daemon is doing: GET_STATUS. */
export interface StatusDocument {
  readonly version: string;
  readonly pid: number;
  /** Where its settings are read from; the default file need not be there. An older daemon does not tell. */
  readonly configurationFile?: string;
  /**
   * When its process began to serve, before any re-exec, in Unix milliseconds. An older daemon has
   * `started`.
   */
  readonly startedMs?: number;
  readonly started: number;
  /**
   * When the counters began, in Unix milliseconds: in an earlier process, if that has crashed. Not in
   * documents of versions before 1.1.
   */
  readonly countingSinceMs?: number;
  /** Seconds since then. An older daemon has `uptime`. */
  readonly uptimeSeconds?: number;
  readonly uptime: number;
  /** How often it has executed itself anew. */
  readonly reExecs: number;
  /** How often that was given up, and why the last time. Not in documents of versions before 1.1. */
  readonly reExecFailures?: number;
  readonly lastReExecFailure?: string;
  /**
   * How often a daemon was started again after the last one had been killed or had crashed, and after it had
   * been stopped; locks that were taken over then, and lost.
   */
  readonly crashes?: number;
  readonly restarts?: number;
  readonly recoveredLocks?: number;
  readonly lostLocks?: number;
  readonly servers: readonly ServerStatus[];
  readonly locks: {
    readonly exclusive: number;
    readonly shared: number;
    readonly lockspaces: number;
    /** Processes that own any. */
    readonly holders: number;
    /** Holders that are being killed. */
    readonly dying: number;
    /** Locks whose owner's process is gone, and which wait for its last writes. */
    readonly settling: number;
    /** Locks that cannot be proven or released, with those that are missing. */
    readonly doubtful: number;
    /** Those that are missing: not held although their owners were told so. An older daemon does not tell. */
    readonly lost?: number;
    /** Locks inherited from libvirt's daemon: POSIX locks, which end with the process. */
    readonly posix: number;
  };
  /** The lock directories that it knows, the first thousand; an older daemon names none. */
  readonly lockspaces?: readonly LockspaceEntry[];
  readonly descriptors: { readonly open: number; readonly limit: number };
  /** Seconds without client and lock after which it stops; 0: never. An older daemon has `idleTimeout`. */
  readonly idleTimeoutSeconds?: number;
  readonly idleTimeout: number;
  /** The mounts that may hang and are, or were, in use. An older daemon tells less, in `sections`. */
  readonly storage?: readonly StorageEntry[];
  readonly logging: { readonly level: number; readonly filters: string; readonly outputs: string };
  readonly sections: Sections;
}

/** A lock directory. */
export interface LockspaceEntry {
  readonly path: string;
  /** By libvirt, or by the first request for a lock in it. */
  readonly origin: "registered" | "adopted";
  /** The file system that it has to be on; absent when that is not known. */
  readonly mount?: { readonly source: string; readonly type: string; readonly point: string };
}

/** How a mount that may hang answers. */
export interface StorageEntry {
  readonly mount: string;
  /** "absent": nothing was asked lately. "hung": the operation in work has passed the time limit. */
  readonly state: "absent" | "idle" | "working" | "hung";
  /** Operations that wait for their turn. */
  readonly waiting: number;
  /** How long the operation in work has taken so far; absent when there is none. */
  readonly busyMs?: number;
}

/** Clients of a server against its limit. */
export interface ServerStatus {
  readonly name: string;
  readonly clients: number;
  readonly clientsMax: number;
}

/** Who holds a lock. */
export interface HolderEntry {
  readonly domain: string;
  readonly uuid: string;
  /** libvirt's transient id of the domain. */
  readonly id: number;
  readonly pid: number;
  /**
   * Unix milliseconds; 0: unknown, taken over from a daemon that does not record it. An older daemon has
   * `since`.
   */
  readonly sinceMs?: number;
  readonly since: number;
  /** How often this owner holds it; more than once only when shared. */
  readonly times: number;
  /**
   * Absent while its process lives. "ended": its locks are about to go. "unjudged": nothing tells whether it
   * lives, and its locks stay until they are released. "stopped": a signal has stopped it, which is only
   * told of locks that are the cluster's.
   */
  readonly process?: "ended" | "unjudged" | "stopped";
}

/** Where a lock is in its life, with what is most worth knowing of its owners. */
export type ShownState =
  | LockState["kind"]
  | "holder being killed"
  /** Its guest is paused, and gets it again, unless somebody else asks for it first. */
  | "parked"
  /** The owner's process is gone, but its last writes may not have landed. */
  | "settling";

/** A lock: an entry of LIST_LOCKS. */
export interface LockEntry {
  /** Unique in the daemon's life. */
  readonly id: number;
  /** "" for the default lockspace, whose resources are the files themselves. */
  readonly lockspace: string;
  readonly resource: string;
  readonly path: string;
  /**
   * The locked file by device and inode, as /proc/locks names it. Absent when it is not open; an older daemon
   * does not tell.
   */
  readonly file?: string;
  readonly mode: "exclusive" | "shared";
  readonly autocreate: boolean;
  readonly state: ShownState;
  /** Why it is doubtful, awaited, lost or settling. */
  readonly reason?: string;
  /** For which hosts it counts; absent on a host that is in no cluster. */
  readonly hosts?: LockReach;
  /** "posix": inherited from libvirt's daemon, will not survive a crash. */
  readonly kind: LockKind;
  readonly holders: readonly HolderEntry[];
  /** Holders that are not listed, for want of room. */
  readonly moreHolders?: number;
}

/** What RELEASE has done. */
export interface ReleaseDocument {
  readonly lockspace: string;
  readonly resource: string;
  /** Who has lost the lock. */
  readonly owner: { readonly domain: string; readonly uuid: string; readonly pid: number };
  /** What was known of its process. */
  readonly ownerProcess: Judgement["kind"];
  /** Whether others share the lock: then the file is locked still. */
  readonly stillShared: boolean;
}

/** A client: an entry of LIST_CLIENTS. */
export interface ClientEntry {
  readonly server: string;
  readonly id: number;
  /** Unix milliseconds. An older daemon has `connected`. */
  readonly connectedMs?: number;
  readonly connected: number;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** SELinux or other security context, where there is one. */
  readonly security?: string;
  /** For whom it speaks, once it has registered. */
  readonly owner?: {
    readonly domain: string;
    readonly uuid: string;
    readonly id: number;
    readonly pid: number;
  };
  /** Whether it may do nothing any more. */
  readonly restricted?: boolean;
  /** Locks that end with this connection. */
  readonly locks?: number;
}
