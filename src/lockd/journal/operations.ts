import type { ByteOperation } from "../../chassis/journal/client_bytes.ts";
import type { OwnerKey } from "../lockspace/owner.ts";
import type { HoldingRecord, JournaledLock, OwnerRecord } from "./journaled_lock.ts";

/** A lock that was released for an owner whose process goes on. */
export interface ParkedRecord {
  readonly lockspace: string;
  readonly name: string;
  readonly path: string;
  readonly owner: OwnerRecord;
  readonly use?: HoldingRecord;
}

/** A connected client. */
export interface ClientRecord {
  /** See src/chassis/rpc/client_key.ts. */
  readonly key: number;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Unix milliseconds at which it connected. */
  readonly since: number;
  /** As {@link JournaledLock.slot}. */
  readonly slot?: number;
}

/** What a record of the log says. */
export type Operation =
  | { readonly op: "lockspace"; readonly path: string }
  | ({ readonly op: "grant" } & JournaledLock)
  | { readonly op: "share"; readonly id: number; readonly holding: HoldingRecord }
  /** An owner was taken off; `last`: the lock has gone. */
  | {
    readonly op: "release";
    readonly id: number;
    readonly pid: number;
    readonly uuid?: string;
    readonly last: boolean;
  }
  | { readonly op: "doubtful"; readonly id: number; readonly reason: string }
  /** Released for an owner whose process goes on; in place of what was recorded of the same before. */
  | ({ readonly op: "parked" } & ParkedRecord)
  | ({ readonly op: "unparked" } & Pick<ParkedRecord, "lockspace" | "name" | "owner">)
  | ({ readonly op: "client" } & ClientRecord)
  | { readonly op: "owner"; readonly key: number; readonly owner: OwnerRecord }
  | { readonly op: "restricted"; readonly key: number }
  /** A holder whose process is being ended, or that has ended and is not settled. */
  | {
    readonly op: "dying";
    /** As the daemon sees it. */
    readonly pid: number;
    readonly key: OwnerKey;
    readonly since: number;
    readonly killed: boolean;
    readonly slot?: number;
  }
  | { readonly op: "settled"; readonly pid: number }
  | ByteOperation
  /** Begins a snapshot. */
  | {
    readonly op: "snapshot";
    readonly turn: number;
    readonly reply: number;
    readonly nextResource: number;
    /** By ordinal of the server. */
    readonly nextClient: readonly number[];
  }
  /** Settings and counters that are kept for the next life: any value that JSON can hold. */
  | { readonly op: "carried"; readonly state: unknown };
