import { type ClientRef, encodeClientRef } from "./admin_protocol.ts";
import { XdrError } from "./xdr_error.ts";
import type { XdrWriter } from "./xdr_writer.ts";

// docs/protocol.md, Admin program: the replies that are not empty. The parameter lists are those of
// typed_param.ts.

/** Most entries of a list of servers or clients. */
export const ADMIN_LIST_MAX = 16384;

/** A list, or its length alone when the results were not wanted. */
export interface ListReply<T> {
  items: T[];
  /** How many there are. */
  count: number;
}

/** Reply of GET_LOGGING_OUTPUTS and GET_LOGGING_FILTERS. */
export interface LoggingReply {
  /** Undefined when there are no filters. */
  text: string | undefined;
  /** How many outputs or filters there are. */
  count: number;
}

/** Writes the reply of GET_LIB_VERSION. */
export function encodeLibVersion(writer: XdrWriter, version: number): void {
  writer.u64Number(version);
}

/**
 * Writes the reply of LIST_SERVERS.
 *
 * @param needResults whether the list is wanted, or its length alone
 * @throws XdrError when the list is longer than {@link ADMIN_LIST_MAX}
 */
export function encodeServerList(writer: XdrWriter, servers: readonly string[], needResults: boolean): void {
  encodeList(writer, servers, needResults, encodeServer);
}

/** Writes the reply of LIST_CLIENTS. Parameters and errors as {@link encodeServerList}. */
export function encodeClientList(
  writer: XdrWriter,
  clients: readonly ClientRef[],
  needResults: boolean,
): void {
  encodeList(writer, clients, needResults, encodeClientRef);
}

/** Writes the reply of LOOKUP_SERVER. */
export function encodeServer(writer: XdrWriter, name: string): void {
  writer.string(name);
}

/** Writes the reply of GET_LOGGING_OUTPUTS; without a text it is empty. */
export function encodeOutputs(writer: XdrWriter, { text, count }: LoggingReply): void {
  writer.string(text ?? "");
  writer.u32(count);
}

/** Writes the reply of GET_LOGGING_FILTERS. */
export function encodeFilters(writer: XdrWriter, { text, count }: LoggingReply): void {
  writer.optionalString(text);
  writer.u32(count);
}

function encodeList<T>(
  writer: XdrWriter,
  items: readonly T[],
  needResults: boolean,
  encode: (writer: XdrWriter, item: T) => void,
): void {
  if (needResults && items.length > ADMIN_LIST_MAX) {
    throw new XdrError(`Cannot encode list: length ${items.length} is not in 0..${ADMIN_LIST_MAX}`);
  }
  writer.u32(needResults ? items.length : 0);
  if (needResults) { for (const item of items) encode(writer, item); }
  writer.u32(items.length);
}
