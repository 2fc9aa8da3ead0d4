import type { FileSys, ProcessSys, SocketSys } from "../../os/sys.ts";
import type { DyingHolder, EndedOwner } from "../lockspace/holder_reaper.ts";
import type { HandedLock } from "../lockspace/lock_record.ts";
import type { OwnerProcess } from "../lockspace/owner_watch.ts";
import type { InputBytes } from "../../chassis/rpc/durability.ts";
import type { JournaledClient } from "./journal_state.ts";
import type { ParkedRecord } from "./operations.ts";
import type { OwnerRecord } from "./journaled_lock.ts";
import type { Slot } from "./slots.ts";

/** A descriptor that came back from the store. */
export interface ReturnedDescriptor {
  readonly fd: number;
  readonly name: string;
}

/** What a slot is for: the id of a resource, the key of a client, the pid of a dying holder. */
export interface StoredObject extends Slot {
  readonly id: number;
}

/** A client that is taken over. */
export interface RecoveredClient {
  readonly record: JournaledClient;
  readonly fd: number;
  readonly pidfd: number;
  readonly input: InputBytes;
  readonly output: Uint8Array;
}

/** What an earlier life has left and this one goes on with. The descriptors belong to whoever takes it. */
export interface Recovered {
  readonly lockspaces: readonly string[];
  /** Those that could not be had again are in it as lost. */
  readonly locks: readonly HandedLock<OwnerRecord>[];
  readonly clients: readonly RecoveredClient[];
  /** Holders whose process was being ended and still lives. */
  readonly dying: readonly DyingHolder[];
  /** Locks that were released for owners whose process lives. */
  readonly parked: readonly ParkedRecord[];
  /** Owners whose process lives; not those that are dying. */
  readonly watched: readonly OwnerProcess[];
  /** Owners that are gone: their locks have to be released. */
  readonly gone: readonly EndedOwner[];
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

/** What a recovery asks of the kernel. */
export type RecoverySys =
  & Pick<FileSys, "open" | "read" | "close" | "ofdLock" | "fcntl" | "readlink">
  & Pick<SocketSys, "peerCredentials" | "peerPidfd">
  & Pick<ProcessSys, "pidfdOpen">;
