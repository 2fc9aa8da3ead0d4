import {
  byKind,
  fields,
  flag,
  listOf,
  number,
  oneOf,
  optional,
  parseJson,
  type Shape,
  text,
} from "../../base/shape.ts";
import { decodeText } from "../../os/text.ts";
import type { ProgramResult } from "../../os/program_result.ts";
import type { DirectoryFailure, FileFailure } from "../lockspace/file_failure.ts";
import type { FileIdentity } from "../lockspace/file_identity.ts";
import type { LockOutcome, UnlockFailure, UnlockRequest } from "../lockspace/lock_file.ts";
import type { Owner } from "../lockspace/owner.ts";
import type { ForeignHolder } from "../lockspace/refusal.ts";
import type { Verdict } from "../lockspace/settler.ts";
import type {
  FileOwner,
  FromHelper,
  HelperCommand,
  StorageLockRequest,
  StorageResult,
  StorageTask,
  ToHelper,
} from "./helper_protocol.ts";
import type { GuardQuestion } from "./last_writes.ts";
import type { UserIds } from "./mount_tree.ts";

// What each end makes of what the other one has sent. The other end is another process, perhaps of another
// version: what is not whole must not become a lock.

const IDENTITY: Shape<FileIdentity> = fields({
  devMajor: number,
  devMinor: number,
  inodeLow: number,
  inodeHigh: number,
});

const OWNER: Shape<Owner> = fields({
  pid: number,
  name: text,
  uuid: text,
  id: number,
  namespace: optional(text),
  hostPid: optional(number),
});

const IDS: Shape<UserIds> = fields({ uid: number, gid: number });
const COMMAND: Shape<HelperCommand> = fields({ path: text, argv: listOf(text), env: listOf(text) });

const LOCK_REQUEST: Shape<Omit<StorageLockRequest, "resumed">> = fields({
  path: text,
  shared: flag,
  autocreate: flag,
  create: optional(flag),
  followLinks: flag,
  record: optional(text),
  owner: optional(OWNER),
});

const UNLOCK_REQUEST: Shape<Omit<UnlockRequest, "fd">> = fields({
  path: text,
  lock: oneOf({ ofd: true, posix: true }),
  shared: flag,
  autocreate: flag,
  force: flag,
  paused: optional(OWNER),
});

const QUESTION: Shape<GuardQuestion> = fields({
  names: listOf(text),
  sync: flag,
  others: optional(text),
  devices: optional(flag),
  guests: optional(listOf(number)),
});

const TASK: Shape<StorageTask> = byKind("op", {
  "lock": fields({ request: LOCK_REQUEST }),
  "unlock": fields({ request: UNLOCK_REQUEST }),
  "create": fields({ path: text, followLinks: flag }),
  "remove": fields({ path: text }),
  "make-directory": fields({ path: text }),
  "set-lock": fields({ path: text, type: number }),
  "probe": fields({ path: text }),
  "check-directory": fields({ path: text }),
  "find-owner": fields({ path: text }),
  "find-holder": fields({ path: text, identity: IDENTITY, shared: flag }),
  "judge-guards": fields({
    question: QUESTION,
  }),
  "judge-openers": fields({ identity: IDENTITY }),
  "sync": fields({ path: text }),
  "run": fields({ command: COMMAND, limit: number }),
});

const TO_HELPER: Shape<ToHelper> = byKind("kind", {
  become: fields({ version: text, ids: IDS }),
  task: fields({ id: number, task: TASK }),
  settled: fields({ id: number }),
  undo: fields({ id: number }),
  spawn: fields({ command: COMMAND }),
});

const REFUSED: Shape<Exclude<LockOutcome, { kind: "granted" }>> = byKind("kind", {
  busy: fields({ identity: IDENTITY, pid: number }),
  failed: fields({ action: text, errno: number, target: optional(IDENTITY) }),
});

const UNLOCK_FAILURE: Shape<UnlockFailure> = fields({ action: text, errno: number, released: flag });

const FILE_FAILURE: Shape<FileFailure> = byKind("kind", {
  "system": fields({ action: text, errno: number, local: optional(flag) }),
  "not-a-directory": fields({ path: text }),
  "storage": fields({ action: text, reason: text }),
});

const DIRECTORY_FAILURE: Shape<DirectoryFailure> = byKind("kind", {
  "system": fields({ action: text, errno: number, local: optional(flag) }),
  "not-a-directory": fields({ path: text }),
  "storage": fields({ action: text, reason: text }),
  "unfit": fields({ reason: text }),
});

const HOLDER: Shape<ForeignHolder> = byKind("kind", {
  "process": fields({ pid: number, command: text }),
  "record": fields({ text }),
  "other-host": fields({}),
  "file-system": fields({ mount: text }),
  "host": fields({
    host: text,
    silentSince: optional(number),
    shared: flag,
    domain: text,
    uuid: text,
    pid: number,
    since: number,
  }),
  "unknown": fields({}),
});

const SEEN: Shape<"seen"> = oneOf({ seen: true });

const VERDICT: Shape<Verdict> = byKind("kind", {
  over: fields({}),
  busy: fields({ reason: text }),
  unknown: fields({ reason: text, opener: optional(SEEN) }),
});

const PROGRAM: Shape<ProgramResult> = byKind("kind", {
  ended: fields({ code: number, output: text }),
  failed: fields({ reason: text }),
});

const FILE_OWNER: Shape<FileOwner> = fields({ path: text, uid: number, gid: number });

const RESULT: Shape<StorageResult> = byKind("kind", {
  granted: fields({ identity: IDENTITY, recordErrno: optional(number) }),
  refused: fields({ outcome: REFUSED }),
  undone: fields({ path: text, failure: optional(UNLOCK_FAILURE) }),
  released: fields({ failure: optional(UNLOCK_FAILURE) }),
  done: fields({ failure: optional(FILE_FAILURE) }),
  checked: fields({ failure: optional(DIRECTORY_FAILURE) }),
  holder: fields({ holder: HOLDER }),
  judged: fields({ verdict: VERDICT }),
  denied: fields({ verdict: VERDICT }),
  owner: fields({ owner: optional(FILE_OWNER) }),
  ran: fields({ program: PROGRAM }),
});

const FROM_HELPER: Shape<FromHelper> = byKind("kind", {
  ready: fields({ pid: number }),
  failed: fields({ reason: text }),
  result: fields({ id: number, result: RESULT }),
});

/** A message from the daemon. @throws ShapeError when it is none */
export function decodeToHelper(bytes: Uint8Array): ToHelper {
  return parseJson(decodeText(bytes), TO_HELPER);
}

/** A message from a helper. @throws ShapeError when it is none */
export function decodeFromHelper(bytes: Uint8Array): FromHelper {
  return parseJson(decodeText(bytes), FROM_HELPER);
}
