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

/**
 * What a record of the log says. Bytes are only valid until what produced the operation changes. Turns, ends
 * and replies are those of the exchange (src/chassis/rpc/counted_exchange.ts): they tie what is in the log to
 * what is in the exchange area.
 */
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
  | { readonly op: "gone"; readonly key: number }
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
  /** All received bytes of a client that are not served. Nothing is left of the turn. */
  | {
    readonly op: "input";
    readonly key: number;
    readonly bytes: Uint8Array;
    readonly dropped: number;
    readonly turn: number;
  }
  /** More of them. */
  | {
    readonly op: "added";
    readonly key: number;
    readonly bytes: Uint8Array;
    readonly dropped: number;
    readonly turn: number;
  }
  /** All bytes to be sent to a client; what was sent in replies up to `reply` is no part of them. */
  | {
    readonly op: "output";
    readonly key: number;
    readonly bytes: Uint8Array;
    readonly reply: number;
    readonly turn: number;
    readonly end: number;
  }
  /**
   * A request was served: `front` bytes of the client's input, or, when 0, the bytes of the turn up to `end`.
   */
  | {
    readonly op: "served";
    readonly key: number;
    readonly front: number;
    readonly turn: number;
    readonly end: number;
    /** Number that its reply is sent with. */
    readonly reply: number;
    readonly bytes: Uint8Array;
  }
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
