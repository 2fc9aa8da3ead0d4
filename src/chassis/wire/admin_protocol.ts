import { decodeParams, type TypedParam } from "./typed_param.ts";
import type { XdrReader } from "./xdr_reader.ts";
import type { XdrWriter } from "./xdr_writer.ts";

// docs/protocol.md, Admin program: numbers and arguments; the replies are in admin_reply.ts. A decoder or
// encoder belongs to a shape of arguments, which several procedures share. Every decoder throws XdrError for
// what it cannot read.

/** Program number. */
export const ADMIN_PROGRAM = 0x06900690;
/** The only version. */
export const ADMIN_VERSION = 1;
/** Longest string, in bytes. */
export const ADMIN_STRING_MAX = 4194304;
/**
 * Most payload bytes that are of use: one string of full length, and room for a list of parameters. A longer
 * payload cannot be a request that is granted.
 */
export const ADMIN_MAX_PAYLOAD = ADMIN_STRING_MAX + 65536;
/** Most parameters of a server that are got or set at once. */
export const SERVER_PARAMS_MAX = 32;
/** CONNECT_DAEMON_SHUTDOWN: keep the state for the next start. */
export const SHUTDOWN_PRESERVE = 1;

/** Procedure numbers. */
export const AdminProcedure = {
  CONNECT_OPEN: 1,
  CONNECT_CLOSE: 2,
  GET_LIB_VERSION: 3,
  LIST_SERVERS: 4,
  LOOKUP_SERVER: 5,
  GET_THREADPOOL_PARAMETERS: 6,
  SET_THREADPOOL_PARAMETERS: 7,
  LIST_CLIENTS: 8,
  LOOKUP_CLIENT: 9,
  CLIENT_GET_INFO: 10,
  CLIENT_CLOSE: 11,
  GET_CLIENT_LIMITS: 12,
  SET_CLIENT_LIMITS: 13,
  GET_LOGGING_OUTPUTS: 14,
  GET_LOGGING_FILTERS: 15,
  SET_LOGGING_OUTPUTS: 16,
  SET_LOGGING_FILTERS: 17,
  UPDATE_TLS_FILES: 18,
  SET_DAEMON_TIMEOUT: 19,
  /** Newer than libvirt 9.0.0. */
  CONNECT_DAEMON_SHUTDOWN: 20,
} as const;

/** A client of a server. */
export interface ClientRef {
  server: string;
  id: bigint;
  /** Unix seconds of its connection. */
  timestamp: bigint;
  /** 0: Unix socket. */
  transport: number;
}

/** CONNECT_OPEN, GET_LOGGING_OUTPUTS, GET_LOGGING_FILTERS, CONNECT_DAEMON_SHUTDOWN. */
export interface FlagsArgs {
  flags: number;
}

/** LIST_SERVERS. */
export interface ListServersArgs {
  /** Whether the list is wanted, or its length alone. */
  needResults: boolean;
  flags: number;
}

/** LOOKUP_SERVER, GET_THREADPOOL_PARAMETERS, GET_CLIENT_LIMITS, UPDATE_TLS_FILES. */
export interface ServerArgs {
  server: string;
  flags: number;
}

/** SET_THREADPOOL_PARAMETERS, SET_CLIENT_LIMITS. */
export interface SetParamsArgs {
  server: string;
  params: TypedParam[];
  flags: number;
}

/** LIST_CLIENTS. */
export interface ListClientsArgs {
  server: string;
  needResults: boolean;
  flags: number;
}

/** LOOKUP_CLIENT. */
export interface LookupClientArgs {
  server: string;
  id: bigint;
  flags: number;
}

/** CLIENT_GET_INFO, CLIENT_CLOSE. */
export interface ClientArgs {
  client: ClientRef;
  flags: number;
}

/** SET_LOGGING_OUTPUTS, SET_LOGGING_FILTERS. */
export interface SetLoggingArgs {
  /** Undefined as "": back to the default. */
  value: string | undefined;
  flags: number;
}

/** SET_DAEMON_TIMEOUT. */
export interface TimeoutArgs {
  /** 0: never. */
  seconds: number;
  flags: number;
}

/** Reads {@link FlagsArgs}. */
export function decodeFlags(reader: XdrReader): FlagsArgs {
  return { flags: reader.u32() };
}

/** Reads {@link ListServersArgs}. */
export function decodeListServers(reader: XdrReader): ListServersArgs {
  return { needResults: reader.bool(), flags: reader.u32() };
}

/** Reads {@link ServerArgs}. */
export function decodeServerArgs(reader: XdrReader): ServerArgs {
  return { server: reader.string(ADMIN_STRING_MAX), flags: reader.u32() };
}

/** Reads {@link SetParamsArgs}. */
export function decodeSetParams(reader: XdrReader): SetParamsArgs {
  const server = reader.string(ADMIN_STRING_MAX);
  const params = decodeParams(reader, SERVER_PARAMS_MAX, ADMIN_STRING_MAX);
  return { server, params, flags: reader.u32() };
}

/** Reads {@link ListClientsArgs}. */
export function decodeListClients(reader: XdrReader): ListClientsArgs {
  return { server: reader.string(ADMIN_STRING_MAX), needResults: reader.bool(), flags: reader.u32() };
}

/** Reads {@link LookupClientArgs}. */
export function decodeLookupClient(reader: XdrReader): LookupClientArgs {
  return { server: reader.string(ADMIN_STRING_MAX), id: reader.u64(), flags: reader.u32() };
}

/** Reads {@link ClientArgs}. */
export function decodeClientArgs(reader: XdrReader): ClientArgs {
  return { client: decodeClientRef(reader), flags: reader.u32() };
}

/** Reads {@link SetLoggingArgs}. */
export function decodeSetLogging(reader: XdrReader): SetLoggingArgs {
  return { value: reader.optionalString(ADMIN_STRING_MAX), flags: reader.u32() };
}

/** Reads {@link TimeoutArgs}. */
export function decodeTimeout(reader: XdrReader): TimeoutArgs {
  return { seconds: reader.u32(), flags: reader.u32() };
}

/** Reads a client. */
export function decodeClientRef(reader: XdrReader): ClientRef {
  const server = reader.string(ADMIN_STRING_MAX);
  const id = reader.u64();
  const timestamp = reader.i64();
  return { server, id, timestamp, transport: reader.u32() };
}

/** Writes a client. */
export function encodeClientRef(writer: XdrWriter, client: ClientRef): void {
  writer.string(client.server);
  writer.u64(client.id);
  writer.i64(client.timestamp);
  writer.u32(client.transport);
}
