import { idOf, ordinalOf } from "../../chassis/rpc/client_key.ts";
import { takeAt } from "../../base/lists.ts";
import type { LockRecord, LockState } from "../lockspace/lock_record.ts";
import { type OwnerKey, ownerKey } from "../lockspace/owner.ts";
import type { ClientRecord, Operation, ParkedRecord } from "./operations.ts";
import type { HoldingRecord, OwnerRecord } from "./journaled_lock.ts";
import type { JournaledLock } from "./journaled_lock.ts";

/** A client as the log knows it. */
export interface JournaledClient extends ClientRecord {
  owner: OwnerRecord | undefined;
  restricted: boolean;
}

/** A lock as far as the log has been read. */
export interface KnownLock extends JournaledLock {
  readonly record: LockRecord<OwnerRecord> & { readonly holdings: HoldingRecord[]; state: LockState };
}

/** A holder that is being ended, or has ended and is not settled. */
export interface JournaledDying {
  readonly key: OwnerKey;
  readonly since: number;
  readonly killed: boolean;
  readonly slot?: number;
}

/** Received bytes; `dropped` bytes of the first message were not kept. */
export interface JournaledInput {
  readonly bytes: Uint8Array;
  readonly dropped: number;
}

/** What the records of a log add up to. */
export class JournalState {
  readonly lockspaces = new Set<string>();
  /** By id. */
  readonly locks = new Map<number, KnownLock>();
  readonly clients = new Map<number, JournaledClient>();
  /** By client; a client's bytes may come before the client. In pieces, because a slow client's are many. */
  readonly #inputs = new Map<number, { pieces: Uint8Array[]; dropped: number }>();
  readonly outputs = new Map<number, Uint8Array>();
  /** By the pid that the daemon saw. */
  readonly dying = new Map<number, JournaledDying>();
  /** By lockspace, name and owner. */
  readonly parked = new Map<string, ParkedRecord>();
  /** The turn whose bytes are all accounted for. */
  closedTurn = 0;
  /** What was served of a turn. */
  consumed = { turn: 0, end: 0 };
  /** Replies up to this number are sent, or what is left of them is in {@link outputs}. */
  done = 0;
  /** Reply of the last served request. */
  reply: { key: number; number: number; bytes: Uint8Array } | undefined;
  /** Ids that no lock and, by ordinal of its server, no client has had. */
  nextResource = 1;
  nextClient: number[] = [1, 1];
  carried: unknown = null;

  /** By client, what was received of it and not served. */
  get inputs(): Map<number, JournaledInput> {
    const inputs = new Map<number, JournaledInput>();
    for (const [key, { pieces, dropped }] of this.#inputs) inputs.set(key, { bytes: join(pieces), dropped });
    return inputs;
  }

  /** Takes one record in. */
  apply(operation: Operation): void {
    switch (operation.op) {
      case "lockspace":
        this.lockspaces.add(operation.path);
        return;
      case "grant": {
        const { op: _, record, ...lock } = operation;
        this.nextResource = Math.max(this.nextResource, record.id + 1);
        this.locks.set(record.id, { ...lock, record: { ...record, holdings: [...record.holdings] } });
        return;
      }
      case "share":
        this.locks.get(operation.id)?.record.holdings.push(operation.holding);
        return;
      case "release":
        return this.#release(operation);
      case "parked":
      case "unparked":
        return this.#applyParked(operation);
      case "doubtful": {
        const lock = this.locks.get(operation.id);
        if (lock !== undefined) lock.record.state = { kind: "doubtful", reason: operation.reason };
        return;
      }
      case "client": {
        const { op: _, ...client } = operation;
        const ordinal = ordinalOf(client.key);
        this.nextClient[ordinal] = Math.max(this.nextClient[ordinal] ?? 1, idOf(client.key) + 1);
        this.clients.set(client.key, { ...client, owner: undefined, restricted: false });
        return;
      }
      case "owner": {
        const client = this.clients.get(operation.key);
        if (client !== undefined) client.owner = operation.owner;
        return;
      }
      case "restricted": {
        const client = this.clients.get(operation.key);
        if (client !== undefined) client.restricted = true;
        return;
      }
      case "gone":
        this.clients.delete(operation.key);
        this.#inputs.delete(operation.key);
        this.outputs.delete(operation.key);
        return;
      case "dying": {
        const { op: _, pid, ...holder } = operation;
        this.dying.set(pid, holder);
        return;
      }
      case "settled":
        this.dying.delete(operation.pid);
        return;
      case "carried":
        this.carried = operation.state;
        return;
      case "snapshot":
        this.closedTurn = operation.turn;
        this.done = operation.reply;
        this.nextResource = operation.nextResource;
        this.nextClient = [...operation.nextClient];
        return;
      default:
        return this.#applyBytes(operation);
    }
  }

  #applyParked(operation: Extract<Operation, { op: "parked" | "unparked" }>): void {
    const key = parkedKey(operation);
    if (operation.op === "unparked") {
      this.parked.delete(key);
      return;
    }
    const { op: _, ...parked } = operation;
    this.parked.set(key, parked);
  }

  #applyBytes(operation: Extract<Operation, { op: "input" | "added" | "output" | "served" }>): void {
    const { key, bytes } = operation;
    switch (operation.op) {
      case "input":
        this.closedTurn = operation.turn;
        return this.#setInput(key, [bytes], operation.dropped);
      case "added": {
        this.closedTurn = operation.turn;
        const { pieces, dropped } = this.#inputs.get(key) ?? { pieces: [], dropped: 0 };
        pieces.push(bytes);
        return this.#setInput(key, pieces, dropped + operation.dropped);
      }
      case "output":
        this.done = operation.reply;
        if (operation.turn > 0) this.consumed = { turn: operation.turn, end: operation.end };
        if (bytes.length === 0) this.outputs.delete(key);
        else this.outputs.set(key, bytes);
        return;
      case "served": {
        this.reply = { key, number: operation.reply, bytes };
        const input = this.#inputs.get(key);
        if (operation.front === 0) this.consumed = { turn: operation.turn, end: operation.end };
        else if (input !== undefined) {
          this.#setInput(key, [join(input.pieces).slice(operation.front)], input.dropped);
        }
        return;
      }
    }
  }

  #setInput(key: number, pieces: Uint8Array[], dropped: number): void {
    if (pieces.every(({ length }) => length === 0) && dropped === 0) this.#inputs.delete(key);
    else this.#inputs.set(key, { pieces, dropped });
  }

  #release({ id, pid, uuid, last }: Operation & { op: "release" }): void {
    if (last) {
      this.locks.delete(id);
      return;
    }
    // A log that lacks its beginning may not know of it.
    const holdings = this.locks.get(id)?.record.holdings ?? [];
    const right = ({ owner }: HoldingRecord) => owner.pid === pid && (uuid ?? owner.uuid) === owner.uuid;
    const place = holdings.findIndex(right);
    if (place >= 0) takeAt(holdings, place);
  }
}

function parkedKey({ lockspace, name, owner }: Pick<ParkedRecord, "lockspace" | "name" | "owner">): string {
  return `${lockspace}\0${name}\0${ownerKey(owner)}`;
}

/** Pieces as one. */
export function join(pieces: readonly Uint8Array[]): Uint8Array {
  const [first] = pieces;
  if (first !== undefined && pieces.length === 1) return first;
  const all = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
