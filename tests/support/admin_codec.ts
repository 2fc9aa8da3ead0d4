import {
  ADMIN_STRING_MAX,
  type ClientArgs,
  type ClientRef,
  decodeClientRef,
  encodeClientRef,
  type FlagsArgs,
  type ListClientsArgs,
  type ListServersArgs,
  type LookupClientArgs,
  type ServerArgs,
  type SetLoggingArgs,
  type SetParamsArgs,
  type TimeoutArgs,
} from "../../src/chassis/wire/admin_protocol.ts";
import { ADMIN_LIST_MAX, type ListReply, type LoggingReply } from "../../src/chassis/wire/admin_reply.ts";
import { encodeParams } from "../../src/chassis/wire/typed_param.ts";
import type { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";

// A client's half of the admin program: the daemon decodes arguments and encodes replies.

/** Most parameters of a client's information. */
export const CLIENT_INFO_MAX = 64;

/** GET_LIB_VERSION: major * 1000000 + minor * 1000 + release. */
export function decodeLibVersion(reader: XdrReader): number {
  return reader.u64Number();
}

/** Reads the reply of LIST_SERVERS. */
export function decodeServerList(reader: XdrReader): ListReply<string> {
  return decodeList(reader, decodeServer);
}

/** Reads the reply of LIST_CLIENTS. */
export function decodeClientList(reader: XdrReader): ListReply<ClientRef> {
  return decodeList(reader, decodeClientRef);
}

/** Reads the reply of LOOKUP_SERVER. */
export function decodeServer(reader: XdrReader): string {
  return reader.string(ADMIN_STRING_MAX);
}

/** Reads the reply of GET_LOGGING_OUTPUTS. */
export function decodeOutputs(reader: XdrReader): LoggingReply {
  return { text: reader.string(ADMIN_STRING_MAX), count: reader.u32() };
}

/** Reads the reply of GET_LOGGING_FILTERS. */
export function decodeFilters(reader: XdrReader): LoggingReply {
  return { text: reader.optionalString(ADMIN_STRING_MAX), count: reader.u32() };
}

/** Writes {@link FlagsArgs}. */
export function encodeFlags(writer: XdrWriter, { flags }: FlagsArgs): void {
  writer.u32(flags);
}

/** Writes {@link ListServersArgs}. */
export function encodeListServers(writer: XdrWriter, { needResults, flags }: ListServersArgs): void {
  writer.bool(needResults);
  writer.u32(flags);
}

/** Writes {@link ServerArgs}. */
export function encodeServerArgs(writer: XdrWriter, { server, flags }: ServerArgs): void {
  writer.string(server);
  writer.u32(flags);
}

/** Writes {@link SetParamsArgs}. */
export function encodeSetParams(writer: XdrWriter, { server, params, flags }: SetParamsArgs): void {
  writer.string(server);
  encodeParams(writer, params);
  writer.u32(flags);
}

/** Writes {@link ListClientsArgs}. */
export function encodeListClients(writer: XdrWriter, args: ListClientsArgs): void {
  writer.string(args.server);
  writer.bool(args.needResults);
  writer.u32(args.flags);
}

/** Writes {@link LookupClientArgs}. */
export function encodeLookupClient(writer: XdrWriter, { server, id, flags }: LookupClientArgs): void {
  writer.string(server);
  writer.u64(id);
  writer.u32(flags);
}

/** Writes {@link ClientArgs}. */
export function encodeClientArgs(writer: XdrWriter, { client, flags }: ClientArgs): void {
  encodeClientRef(writer, client);
  writer.u32(flags);
}

/** Writes {@link SetLoggingArgs}. */
export function encodeSetLogging(writer: XdrWriter, { value, flags }: SetLoggingArgs): void {
  writer.optionalString(value);
  writer.u32(flags);
}

/** Writes {@link TimeoutArgs}. */
export function encodeTimeout(writer: XdrWriter, { seconds, flags }: TimeoutArgs): void {
  writer.u32(seconds);
  writer.u32(flags);
}

function decodeList<T>(reader: XdrReader, decode: (reader: XdrReader) => T): ListReply<T> {
  const length = reader.count(ADMIN_LIST_MAX);
  const items: T[] = [];
  for (let index = 0; index < length; index++) items.push(decode(reader));
  return { items, count: reader.u32() };
}
