import { decodeBytes } from "../../chassis/journal/byte_codec.ts";
import type { RecordDecoder } from "../../chassis/journal/log_format.ts";
import type { OwnerKey } from "../lockspace/owner.ts";
import { decodeLock, type GrantFields, type ReadNames } from "./lock_codec.ts";
import { codeName } from "./operation_codes.ts";
import { OperationEncoder } from "./operation_encoder.ts";
import type { Operation } from "./operations.ts";
import type { HoldingRecord, OwnerRecord } from "./journaled_lock.ts";

/** null where a field behind it is there. */
type SlotField = number | null | undefined;
type OwnerFields = [
  pid: number,
  name: string,
  uuid: string,
  id: number,
  start: number,
  namespace?: string,
  hostPid?: number,
];
type ParkedFields = [
  bytes: number,
  lockspace: string,
  name: string,
  path: string,
  owner: number,
  user?: number,
  since?: number,
];

/** Reads the payloads of one log, from its first record on. */
export class OperationDecoder implements RecordDecoder<Operation> {
  readonly #lockspaces: string[] = [];
  readonly #owners: OwnerRecord[] = [];
  readonly #names: ReadNames = {
    lockspace: (place) => this.#lockspace(place),
    owner: (number) => this.#owner(number),
  };
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;

  /** An encoder that goes on with the log. */
  encoder(): OperationEncoder {
    return new OperationEncoder(this.#lockspaces, this.#owners.length);
  }

  /**
   * The operations of a record, which its checksum has proven to be what was written.
   *
   * @param bytes a view; the operations get copies
   * @throws SyntaxError when the text is no JSON, or has an operation that this program does not know
   */
  decode(text: string, bytes: Uint8Array): readonly Operation[] {
    this.#bytes = bytes;
    this.#at = 0;
    const operations: Operation[] = [];
    for (const tuple of JSON.parse(text) as [number, ...unknown[]][]) {
      const operation = this.#operation(tuple);
      if (operation !== undefined) operations.push(operation);
    }
    return operations;
  }

  #operation([code, ...fields]: [number, ...unknown[]]): Operation | undefined {
    const name = codeName(code);
    if (name === undefined && code < 0) {
      // A later version's, marked as one that may be skipped.
      const [length] = fields as [number];
      this.#at += length;
      return undefined;
    }
    if (name === undefined) {
      throw new SyntaxError(`Decode a record: it has an operation ${code}, which is not known`);
    }
    switch (name) {
      case "snapshot": {
        const [turn, reply, nextResource, nextClient] = fields as [number, number, number, number[]];
        return { op: "snapshot", turn, reply, nextResource, nextClient };
      }
      case "lockspace": {
        const [path] = fields as [string];
        if (!this.#lockspaces.includes(path)) this.#lockspaces.push(path);
        return { op: "lockspace", path };
      }
      case "numberOwner": {
        const [pid, name, uuid, id, start, namespace, hostPid] = fields as OwnerFields;
        const place = namespace === undefined ? {} : { namespace, ...(hostPid ? { hostPid } : {}) };
        this.#owners.push({ pid, name, uuid, id, start, ...place });
        return undefined;
      }
      case "grant":
        return { op: "grant", ...decodeLock(fields as GrantFields, this.#names) };
      case "share": {
        const [id, owner, since] = fields as [number, number, number];
        return { op: "share", id, holding: this.#holding(owner, since) };
      }
      case "release": {
        const [id, pid, last, uuid] = fields as [number, number, boolean, string?];
        return { op: "release", id, pid, last, ...(uuid === undefined ? {} : { uuid }) };
      }
      case "parked": {
        const [, lockspace, name, path, owner, user, since] = fields as ParkedFields;
        const use = user === undefined ? {} : { use: this.#holding(user, since ?? 0) };
        return { op: "parked", lockspace, name, path, owner: this.#owner(owner), ...use };
      }
      case "unparked": {
        const [, lockspace, name, owner] = fields as [number, string, string, number];
        return { op: "unparked", lockspace, name, owner: this.#owner(owner) };
      }
      case "doubtful": {
        const [id, reason] = fields as [number, string];
        return { op: "doubtful", id, reason };
      }
      case "client": {
        const [key, pid, uid, gid, since, slot] = fields as [
          number,
          number,
          number,
          number,
          number,
          SlotField,
        ];
        return { op: "client", key, pid, uid, gid, since, ...slotField(slot) };
      }
      case "owner": {
        const [key, owner] = fields as [number, number];
        return { op: "owner", key, owner: this.#owner(owner) };
      }
      case "restricted": {
        const [key] = fields as [number];
        return { op: "restricted", key };
      }
      case "dying": {
        const [pid, since, killed, slot, key = pid] = fields as [
          number,
          number,
          boolean,
          SlotField,
          OwnerKey?,
        ];
        return { op: "dying", pid, key, since, killed, ...slotField(slot) };
      }
      case "settled": {
        const [pid] = fields as [number];
        return { op: "settled", pid };
      }
      case "orphan":
        return undefined;
      case "gone":
      case "input":
      case "added":
      case "output":
      case "served":
        return decodeBytes(name, fields, (length) => this.#piece(length));
      case "carried":
        return { op: "carried", state: fields[0] };
      default:
        return name satisfies never;
    }
  }

  #lockspace(place: number): string {
    const path = this.#lockspaces[place];
    if (path === undefined) throw new SyntaxError(`Decode a record: there is no lockspace ${place}`);
    return path;
  }

  #holding(owner: number, since: number): HoldingRecord {
    return { owner: this.#owner(owner), since };
  }

  #owner(number: number): OwnerRecord {
    const owner = this.#owners[number];
    if (owner === undefined) throw new SyntaxError(`Decode a record: there is no owner ${number}`);
    return owner;
  }

  /** A copy: the record may be overwritten. */
  #piece(length: number): Uint8Array {
    return this.#bytes.slice(this.#at, this.#at += length);
  }
}

function slotField(slot: SlotField): { slot?: number } {
  return typeof slot === "number" ? { slot } : {};
}
