import { formatUuid, parseUuid, UUID_SIZE } from "../../chassis/wire/uuid.ts";
import { XdrError } from "../../chassis/wire/xdr_error.ts";
import type { XdrReader } from "../../chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../chassis/wire/xdr_writer.ts";
import type { PoolRef, VolumeRef } from "../model/storage_service.ts";

// The remote program as far as a storage daemon serves it: numbers, and the types that several procedures
// share. docs/storage-protocol.md.

/** Program number. */
export const REMOTE_PROGRAM = 0x20008086;
/** The only version. */
export const REMOTE_VERSION = 1;
/** Longest string, in bytes: REMOTE_STRING_MAX. */
export const REMOTE_STRING_MAX = 4194304;
/** Most payload bytes that are of use: a document of full length, and the names beside it. */
export const REMOTE_MAX_PAYLOAD = REMOTE_STRING_MAX + 65536;
/** What a client that is not authenticated may send at most; nothing that it may call is longer. */
export const ANONYMOUS_MAX_PAYLOAD = 65536;
/** Most names or objects in a list. */
export const REMOTE_LIST_MAX = 16384;
/** Most parameters of an identity. */
export const IDENTITY_PARAMS_MAX = 20;

/** Procedure numbers of the connection, of authentication and of events. */
export const ConnectProcedure = {
  OPEN: 1,
  CLOSE: 2,
  GET_TYPE: 3,
  GET_CAPABILITIES: 7,
  SUPPORTS_FEATURE: 60,
  AUTH_LIST: 66,
  AUTH_SASL_INIT: 67,
  AUTH_SASL_START: 68,
  AUTH_SASL_STEP: 69,
  AUTH_POLKIT: 70,
  GET_URI: 110,
  IS_SECURE: 149,
  GET_LIB_VERSION: 157,
  REGISTER_CLOSE_CALLBACK: 360,
  UNREGISTER_CLOSE_CALLBACK: 361,
  POOL_EVENT_REGISTER_ANY: 368,
  POOL_EVENT_DEREGISTER_ANY: 369,
  SET_IDENTITY: 419,
} as const;

/** Procedure numbers of what the server sends by itself. */
export const RemoteMessage = {
  POOL_LIFECYCLE: 370,
  POOL_REFRESH: 373,
} as const;

/** Procedure numbers of pools. */
export const PoolProcedure = {
  NUM_OF_POOLS: 71,
  LIST_POOLS: 72,
  NUM_OF_DEFINED_POOLS: 73,
  LIST_DEFINED_POOLS: 74,
  FIND_POOL_SOURCES: 75,
  CREATE_XML: 76,
  DEFINE_XML: 77,
  CREATE: 78,
  BUILD: 79,
  DESTROY: 80,
  DELETE: 81,
  UNDEFINE: 82,
  REFRESH: 83,
  LOOKUP_BY_NAME: 84,
  LOOKUP_BY_UUID: 85,
  LOOKUP_BY_VOLUME: 86,
  GET_INFO: 87,
  GET_XML_DESC: 88,
  GET_AUTOSTART: 89,
  SET_AUTOSTART: 90,
  NUM_OF_VOLUMES: 91,
  LIST_VOLUMES: 92,
  IS_ACTIVE: 154,
  IS_PERSISTENT: 155,
  LIST_ALL_POOLS: 281,
  LIST_ALL_VOLUMES: 282,
  LOOKUP_BY_TARGET_PATH: 391,
  GET_CAPABILITIES: 403,
} as const;

/** Procedure numbers of volumes. */
export const VolumeProcedure = {
  CREATE_XML: 93,
  DELETE: 94,
  LOOKUP_BY_NAME: 95,
  LOOKUP_BY_KEY: 96,
  LOOKUP_BY_PATH: 97,
  GET_INFO: 98,
  GET_XML_DESC: 99,
  GET_PATH: 100,
  CREATE_XML_FROM: 125,
  WIPE: 165,
  UPLOAD: 208,
  DOWNLOAD: 209,
  WIPE_PATTERN: 259,
  RESIZE: 260,
  GET_INFO_FLAGS: 378,
} as const;

/** Reads a string. */
export function readString(reader: XdrReader): string {
  return reader.string(REMOTE_STRING_MAX);
}

/** Reads a uuid: lower case, with dashes. */
export function readUuid(reader: XdrReader): string {
  return formatUuid(reader.opaque(UUID_SIZE));
}

/** Reads a pool. */
export function readPool(reader: XdrReader): PoolRef {
  return { name: readString(reader), uuid: readUuid(reader) };
}

/** Reads a pool that may be left out. */
export function readOptionalPool(reader: XdrReader): PoolRef | undefined {
  return reader.bool() ? readPool(reader) : undefined;
}

/** Reads a volume. */
export function readVolume(reader: XdrReader): VolumeRef {
  return { pool: readString(reader), name: readString(reader), key: readString(reader) };
}

/** Writes a pool. @throws XdrError when its uuid is none */
export function writePool(writer: XdrWriter, { name, uuid }: PoolRef): void {
  const bytes = parseUuid(uuid);
  if (bytes === undefined) throw new XdrError(`Cannot encode pool ${name}: '${uuid}' is no uuid`);
  writer.string(name);
  writer.opaque(bytes);
}

/** Writes a volume. */
export function writeVolume(writer: XdrWriter, { pool, name, key }: VolumeRef): void {
  writer.string(pool);
  writer.string(name);
  writer.string(key);
}

/**
 * Writes the reply of a LIST_ALL procedure.
 *
 * @param wanted whether the list is wanted, or its length alone
 * @throws XdrError when the list is longer than {@link REMOTE_LIST_MAX}
 */
export function writeList<T>(
  writer: XdrWriter,
  items: readonly T[],
  wanted: boolean,
  write: (writer: XdrWriter, item: T) => void,
): void {
  if (wanted && items.length > REMOTE_LIST_MAX) {
    throw new XdrError(`Cannot encode list: length ${items.length} is not in 0..${REMOTE_LIST_MAX}`);
  }
  writer.u32(wanted ? items.length : 0);
  if (wanted) { for (const item of items) write(writer, item); }
  writer.u32(items.length);
}

/** Writes names. */
export function writeNames(writer: XdrWriter, names: readonly string[]): void {
  writer.u32(names.length);
  for (const name of names) writer.string(name);
}
