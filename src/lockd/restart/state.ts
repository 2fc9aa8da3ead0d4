import type { FencingWishes } from "../cluster/fencing/fencing_wishes.ts";
import type { UngrantedTry } from "../cluster/locks/ungranted_tries.ts";
import type { Sight } from "../lockspace/written_files.ts";
import type { DyingHolder, EndedOwner } from "../lockspace/holder_reaper.ts";
import { handedDescriptor, type HandedLock } from "../lockspace/lock_record.ts";
import type { Owner } from "../lockspace/owner.ts";
import type { ParkedLock } from "../lockspace/parked_locks.ts";
import type { OwnerProcess } from "../lockspace/owner_watch.ts";

/** Any value that JSON can hold. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObjectValue;
/** See {@link JsonValue}. */
export interface JsonObjectValue {
  readonly [key: string]: JsonValue;
}

/**
 * Everything that one image of the daemon hands to the next. docs/restart-state.md.
 *
 * Descriptors are only numbers here: reading or writing a state opens, closes and changes nothing.
 */
export interface RestartState {
  /** Process that holds the descriptors; `magic` in the document. */
  readonly pid: number;
  /** `admin` is absent where an old daemon wrote the document. */
  readonly servers: { readonly virtlockd: ServerState; readonly admin?: ServerState };
  /** The default lockspace (path "") first. */
  readonly lockspaces: readonly LockspaceState[];
  /** Id that the next resource will get. */
  readonly nextResourceId: number;
  /** Absent when libvirt's daemon wrote the document. */
  readonly extension?: DaemonExtension;
}

/** A server: its listening sockets and its clients. */
export interface ServerState {
  readonly maxClients: number;
  readonly maxAnonymousClients: number;
  readonly nextClientId: number;
  readonly listeners: readonly ListenerState[];
  readonly clients: readonly ClientState[];
}

/** A listening socket. */
export interface ListenerState {
  readonly fd: number;
  /** Whether its path is ours to unlink at exit: not so for a socket that systemd made. */
  readonly unlinkPath: boolean;
}

/** A connected client. */
export interface ClientState {
  /** Unique in its server. */
  readonly id: number;
  /** Connected socket. */
  readonly fd: number;
  /** Unix milliseconds; the document keeps whole seconds. 0 when unknown. */
  readonly connectedAt: number;
  /** Lock owner that it registered; absent before REGISTER, and for a client of the admin server. */
  readonly owner?: Owner;
  readonly restricted: boolean;
  /** Absent when libvirt's daemon wrote the document: then nothing was in flight that it has kept. */
  readonly extension?: ClientExtension;
}

/** What this daemon keeps of a client beyond libvirt's fields. */
export interface ClientExtension {
  /**
   * Bytes received and not served yet. The first message of them lacks the last `dropped` bytes, which were
   * thrown away because its program takes none so long.
   */
  readonly unserved: { readonly bytes: Uint8Array; readonly dropped: number };
  /** Bytes of replies that are not sent yet. */
  readonly unsent: Uint8Array;
  /** The process that connected, as SO_PEERCRED named it. */
  readonly peer: { readonly pid: number; readonly uid: number; readonly gid: number };
  /** pidfd of that process, -1 without one. */
  readonly pidfd: number;
  /** Ids of resources that it was granted, before it was last refused one and since. */
  readonly refused?: readonly number[];
  readonly granted?: readonly number[];
  /** Set where a daemon that was killed may have granted more. */
  readonly trailLost?: true;
}

/** A lockspace and what is locked in it. */
export interface LockspaceState {
  /** "" for the default lockspace. */
  readonly path: string;
  readonly resources: readonly HandedLock[];
}

/** What this daemon keeps of itself beyond libvirt's fields. */
export interface DaemonExtension {
  /** Holders whose connection has ended and whose process is being ended; their pidfds are handed over. */
  readonly dying: readonly DyingHolder[];
  /**
   * Other owners' processes that are watched; their pidfds are handed over. Absent where an older version
   * wrote the document.
   */
  readonly watched?: readonly OwnerProcess[];
  /** Locks that were released for owners whose process goes on. */
  readonly released?: readonly ParkedLock[];
  /** Owners whose process is gone, and whose locks wait for their last writes. Absent when there is none. */
  readonly ended?: readonly EndedOwnerState[];
  /** Hosts of the cluster that are to be fenced. Absent when there is none. */
  readonly fencing?: FencingWishes;
  /** Descriptors that must stay open because a close would drop a POSIX lock on their file. */
  readonly parked: readonly number[];
  /** Other descriptors that live on, e.g. the journal's. */
  readonly kept: readonly KeptDescriptor[];
  readonly settings: RuntimeSettings;
  /** Working directory in which the daemon was started: relative paths of its command line start there. */
  readonly cwd: string;
  /** Counters of the metrics; their meaning is the metrics' own. */
  readonly statistics: unknown;
  /** Of which daemons this one is: see src/lockd/cluster/keys/lineage.ts. Absent in an older version's. */
  readonly lineage?: string;
  /** Of these daemons. Absent when there is none. */
  readonly tries?: readonly UngrantedTry[];
  /** What the journal and the descriptor store need to go on. */
  readonly journal: JsonValue;
  /** Always null: images of the first release insist on it. */
  readonly notify: JsonValue;
}

/** An owner whose process is gone, with what was seen of it while it lived. */
export interface EndedOwnerState extends EndedOwner {
  readonly sight?: Sight;
}

/** A descriptor with its purpose, by which the next image finds it. */
export interface KeptDescriptor {
  readonly purpose: string;
  readonly fd: number;
}

/**
 * Settings that were changed at runtime and so differ from the configuration; client limits are in {@link
 * ServerState}.
 */
export interface RuntimeSettings {
  readonly logOutputs?: string;
  readonly logFilters?: string;
  /** Idle timeout in seconds, 0 for never. */
  readonly timeout?: number;
}

/** Every descriptor of a state: what must stay open over the exec. */
export function descriptorsOf(state: RestartState): number[] {
  const all: number[] = [];
  for (const server of [state.servers.virtlockd, state.servers.admin]) {
    for (const { fd } of server?.listeners ?? []) all.push(fd);
    for (const { fd, extension } of server?.clients ?? []) {
      all.push(fd);
      if (extension !== undefined && extension.pidfd >= 0) all.push(extension.pidfd);
    }
  }
  for (const { resources } of state.lockspaces) {
    for (const { handle } of resources) {
      const fd = handedDescriptor(handle);
      if (fd >= 0) all.push(fd);
    }
  }
  for (const { pidfd } of state.extension?.dying ?? []) all.push(pidfd);
  for (const { pidfd } of state.extension?.watched ?? []) all.push(pidfd);
  for (const fd of state.extension?.parked ?? []) all.push(fd);
  for (const { fd } of state.extension?.kept ?? []) all.push(fd);
  return all;
}
