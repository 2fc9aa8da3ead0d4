import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { decodeFencing, type Fencing } from "./fencing_record.ts";
import { fieldsOf, numberOf, RecordError, textOf } from "./record_fields.ts";

/** By what a machine is known again: see machineOf(). */
export interface MachineMark {
  /** Of the board, by the uuid of its firmware: equal in two hosts when that is none. */
  readonly board: string;
  /** Of the board, its serial numbers and what is installed on it. */
  readonly whole: string;
}

/** A host's membership, from one start of its kernel to the next. It stays until it is ended by a word. */
export interface SessionRecord {
  /** The host's id. */
  readonly host: string;
  /** The host's name, for people. */
  readonly name: string;
  /** The kernel's boot id. */
  readonly boot: string;
  /** Another one with each change by the host itself, so that it knows its own again. */
  readonly nonce: string;
  /** Absent while nobody has said anything of the host. */
  readonly fencing?: Fencing;
  /** How many locks its guests have of which others have got hold, as after it was fenced; absent: none. */
  readonly lost?: number;
  /** That the host has left the cluster: this session is never written again. */
  readonly left?: true;
  /** The host was fenced, and nobody wants to see it any more. */
  readonly removed?: true;
  /** Its daemon was stopped in order while guests had locks: they may run on. It is never fenced unasked. */
  readonly quiet?: true;
  /** What the program that fences has to know of the host: `cluster_fence_data`; absent: nothing. */
  readonly data?: string;
  /** On which machine it is; absent where nothing tells that, and in one of an older version. */
  readonly machine?: MachineMark;
}

/** @throws RecordError when it is none */
export function decodeSession(entry: KeyValue): SessionRecord {
  const record = fieldsOf(entry);
  const text = (field: string) => textOf(entry.key, record, field);
  const fencing = record["fencing"];
  return {
    host: text("host"),
    name: text("name"),
    boot: text("boot"),
    nonce: text("nonce"),
    ...fencing === undefined ? {} : { fencing: decodeFencing(entry.key, fencing) },
    ...record["removed"] === true ? { removed: true } : {},
    ...record["lost"] === undefined ? {} : { lost: numberOf(entry.key, record, "lost") },
    ...record["left"] === true ? { left: true } as const : {},
    ...record["quiet"] === true ? { quiet: true } as const : {},
    ...record["data"] === undefined ? {} : { data: text("data") },
    ...record["machine"] === undefined ? {} : { machine: decodeMachine(entry.key, record["machine"]) },
  };
}

function decodeMachine(key: string, value: unknown): MachineMark {
  if (typeof value !== "object" || value === null) throw new RecordError(`${key} has no mark of its machine`);
  const record = { ...value };
  return { board: textOf(key, record, "board"), whole: textOf(key, record, "whole") };
}
