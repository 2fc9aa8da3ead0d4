import { formatUuid, UUID_SIZE } from "../../chassis/wire/uuid.ts";
import type { XdrReader } from "../../chassis/wire/xdr_reader.ts";

// docs/protocol.md, Lock program. No procedure returns a payload. Every decoder throws XdrError for what it
// cannot read.

/** Program number. */
export const LOCK_PROGRAM = 0x0ea7beef;
/** The only version. */
export const LOCK_VERSION = 1;
/** Longest string, in bytes. */
const LOCK_STRING_MAX = 65536;
/** Most payload bytes that a procedure can need: two strings and flags. */
export const LOCK_MAX_PAYLOAD = 2 * (4 + LOCK_STRING_MAX) + 4;

/** Procedure numbers. */
export const LockProcedure = {
  REGISTER: 1,
  RESTRICT: 2,
  NEW: 3,
  CREATE_RESOURCE: 4,
  DELETE_RESOURCE: 5,
  ACQUIRE_RESOURCE: 6,
  RELEASE_RESOURCE: 7,
  CREATE_LOCKSPACE: 8,
} as const;

/** ACQUIRE_RESOURCE: others may hold it shared too. */
export const ACQUIRE_SHARED = 1;
/** ACQUIRE_RESOURCE: make the file when it is absent, unlink it with the last owner. */
export const ACQUIRE_AUTOCREATE = 2;

/** Who asks: the domain and its process. */
export interface OwnerArgs {
  /** Lower case, with dashes. */
  uuid: string;
  name: string;
  id: number;
  pid: number;
}

/** REGISTER. */
export interface RegisterArgs {
  owner: OwnerArgs;
  flags: number;
}

/** RESTRICT. */
export interface RestrictArgs {
  flags: number;
}

/** NEW. */
export interface NewArgs {
  /** Path of the lockspace. */
  path: string;
  flags: number;
}

/** CREATE_RESOURCE, DELETE_RESOURCE, ACQUIRE_RESOURCE and RELEASE_RESOURCE. */
export interface ResourceArgs {
  /** Path of the lockspace, "" for the default one. */
  path: string;
  /** Name of the resource in it. */
  name: string;
  flags: number;
}

/** CREATE_LOCKSPACE. */
export interface CreateLockspaceArgs {
  path: string;
}

/** Reads the arguments of REGISTER. */
export function decodeRegister(reader: XdrReader): RegisterArgs {
  const uuid = formatUuid(reader.opaque(UUID_SIZE));
  const name = reader.string(LOCK_STRING_MAX);
  const id = reader.u32();
  const pid = reader.u32();
  return { owner: { uuid, name, id, pid }, flags: reader.u32() };
}

/** Reads the arguments of RESTRICT. */
export function decodeRestrict(reader: XdrReader): RestrictArgs {
  return { flags: reader.u32() };
}

/** Reads the arguments of NEW. */
export function decodeNew(reader: XdrReader): NewArgs {
  return { path: reader.string(LOCK_STRING_MAX), flags: reader.u32() };
}

/** Reads the arguments of the four procedures on a resource. */
export function decodeResource(reader: XdrReader): ResourceArgs {
  const path = reader.string(LOCK_STRING_MAX);
  const name = reader.string(LOCK_STRING_MAX);
  return { path, name, flags: reader.u32() };
}

/** Reads the arguments of CREATE_LOCKSPACE. */
export function decodeCreateLockspace(reader: XdrReader): CreateLockspaceArgs {
  return { path: reader.string(LOCK_STRING_MAX) };
}
