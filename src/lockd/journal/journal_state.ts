import { ClientBytes } from "../../chassis/journal/client_bytes.ts";
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

/** What the records of a log add up to. */
export class JournalState {
  /** Of clients, what was under way. */
  readonly bytes = new ClientBytes();
  readonly lockspaces = new Set<string>();
  /** By id. */
  readonly locks = new Map<number, KnownLock>();
  readonly clients = new Map<number, JournaledClient>();
  /** By the pid that the daemon saw. */
  readonly dying = new Map<number, JournaledDying>();
  /** By lockspace, name and owner. */
  readonly parked = new Map<string, ParkedRecord>();
  /** Ids that no lock and, by ordinal of its server, no client has had. */
  nextResource = 1;
  nextClient: number[] = [1, 1];
  carried: unknown = null;

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
        return this.bytes.apply(operation);
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
        this.bytes.begin(operation.turn, operation.reply);
        this.nextResource = operation.nextResource;
        this.nextClient = [...operation.nextClient];
        return;
      case "input":
      case "added":
      case "output":
      case "served":
        return this.bytes.apply(operation);
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
