import { encodeBytes } from "../../chassis/journal/byte_codec.ts";
import type { ByteOperation } from "../../chassis/journal/client_bytes.ts";
import type { Payload, RecordEncoder } from "../../chassis/journal/log_format.ts";
import { encodeLock, type WrittenNames } from "./lock_codec.ts";
import { Code } from "./operation_codes.ts";
import type { Operation } from "./operations.ts";
import type { OwnerRecord } from "./journaled_lock.ts";

/** Operations that {@link OperationEncoder} has to be quick with. */
type UsualOp = "grant" | "release" | ByteOperation["op"];

/**
 * Makes payloads of operations, for one log after the other.
 *
 * There may be tens of thousands of locks. So what many of them have in common is in a log once, and then
 * meant by a number: lockspaces in the order in which they appear, owners as {@link Code.numberOwner} says.
 * The file of a lock is only named where its path is not lockspace and name.
 */
export class OperationEncoder implements RecordEncoder<Operation> {
  readonly #lockspaces = new Map<string, number>();
  readonly #owners = new Map<OwnerRecord, number>();
  #nextOwner: number;
  readonly #names: WrittenNames = {
    lockspace: (path) => this.#lockspaces.get(path),
    owner: (owner) => this.#owner(owner),
  };
  #text = "";
  #bytes: Uint8Array[] = [];

  /**
   * @param lockspaces those that have numbers in the log to which is added
   * @param owners how many owners have
   */
  constructor(lockspaces: readonly string[] = [], owners = 0) {
    for (const path of lockspaces) this.#lockspaces.set(path, this.#lockspaces.size);
    this.#nextOwner = owners;
  }

  /** What follows is for a new log, in which nothing has a number. */
  restart(): void {
    this.#lockspaces.clear();
    this.#owners.clear();
    this.#nextOwner = 0;
  }

  /**
   * The payload of the next record. It has to be written, else the ones behind it mean what the log does not
   * have.
   */
  encode(operations: readonly Operation[]): Payload {
    this.#text = "";
    this.#bytes = [];
    for (const operation of operations) this.#append(this.#encoded(operation));
    return { text: `[${this.#text}]`, bytes: this.#bytes };
  }

  #append(array: string): void {
    this.#text = this.#text === "" ? array : `${this.#text},${array}`;
  }

  /**
   * Those of nearly every request are put together by hand: arrays for JSON.stringify would cost as much as
   * the rest of a record.
   */
  #encoded(operation: Operation): string {
    switch (operation.op) {
      case "grant":
        return encodeLock(operation, this.#names);
      case "release":
        return this.#release(operation);
      case "gone":
      case "input":
      case "added":
      case "output":
      case "served":
        return encodeBytes(operation, (bytes) => this.#piece(bytes));
      default:
        return this.#rare(operation);
    }
  }

  /** Only where others still share it does it matter which of them has gone. */
  #release({ id, pid, uuid, last }: Operation & { op: "release" }): string {
    const who = last || uuid === undefined ? "" : `,"${uuid}"`;
    return `[${Code.release},${id},${pid},${last}${who}]`;
  }

  #rare(operation: Exclude<Operation, { op: UsualOp }>): string {
    // The owners that it means come before it.
    const tuple = this.#tuple(operation);
    // What follows from the others, or is not there, is not written.
    while (tuple.at(-1) === undefined) tuple.pop();
    return JSON.stringify(tuple);
  }

  #tuple(operation: Exclude<Operation, { op: UsualOp }>): unknown[] {
    switch (operation.op) {
      case "snapshot": {
        const { turn, reply, nextResource, nextClient } = operation;
        return [Code.snapshot, turn, reply, nextResource, nextClient];
      }
      case "lockspace":
        this.#lockspaces.set(operation.path, this.#lockspaces.get(operation.path) ?? this.#lockspaces.size);
        return [Code.lockspace, operation.path];
      case "share":
        return [Code.share, operation.id, this.#owner(operation.holding.owner), operation.holding.since];
      case "parked": {
        const { lockspace, name, path, owner, use } = operation;
        const used = use === undefined ? [] : [this.#owner(use.owner), use.since];
        return [Code.parked, 0, lockspace, name, path, this.#owner(owner), ...used];
      }
      case "unparked":
        return [Code.unparked, 0, operation.lockspace, operation.name, this.#owner(operation.owner)];
      case "doubtful":
        return [Code.doubtful, operation.id, operation.reason];
      case "client": {
        const { key, pid, uid, gid, since, slot } = operation;
        return [Code.client, key, pid, uid, gid, since, slot];
      }
      case "owner":
        return [Code.owner, operation.key, this.#owner(operation.owner)];
      case "restricted":
        return [Code.restricted, operation.key];
      case "dying": {
        const { pid, key, since, killed, slot } = operation;
        return [Code.dying, pid, since, killed, slot, key === pid ? undefined : key];
      }
      case "settled":
        return [Code.settled, operation.pid];
      case "carried":
        return [Code.carried, operation.state];
    }
  }

  /** @returns how many bytes were added */
  #piece(bytes: Uint8Array): number {
    this.#bytes.push(bytes);
    return bytes.length;
  }

  #owner(owner: OwnerRecord): number {
    const known = this.#owners.get(owner);
    if (known !== undefined) return known;
    const number = this.#nextOwner++;
    this.#owners.set(owner, number);
    const { pid, name, uuid, id, start, namespace, hostPid } = owner;
    const usual = [Code.numberOwner, pid, name, uuid, id, start];
    this.#append(JSON.stringify(namespace === undefined ? usual : [...usual, namespace, hostPid ?? 0]));
    return number;
  }
}
