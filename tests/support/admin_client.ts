import {
  ADMIN_PROGRAM,
  ADMIN_STRING_MAX,
  AdminProcedure,
  type ClientRef,
  decodeClientRef,
  SERVER_PARAMS_MAX,
} from "../../src/chassis/wire/admin_protocol.ts";
import {
  encodeClientArgs,
  encodeFlags,
  encodeListClients,
  encodeListServers,
  encodeLookupClient,
  encodeServerArgs,
  encodeSetLogging,
  encodeSetParams,
  encodeTimeout,
} from "./admin_codec.ts";
import { type ListReply, type LoggingReply } from "../../src/chassis/wire/admin_reply.ts";
import { CLIENT_INFO_MAX } from "./admin_codec.ts";
import {
  decodeClientList,
  decodeFilters,
  decodeLibVersion,
  decodeOutputs,
  decodeServer,
  decodeServerList,
} from "./admin_codec.ts";
import {
  decodePage,
  encodePageArgs,
  encodeReleaseArgs,
  type Page,
  type PageArgs,
  type ReleaseArgs,
  STATUS_PROGRAM,
  StatusProcedure,
} from "../../src/lockd/wire/status_protocol.ts";
import { decodeParams, type TypedParam } from "../../src/chassis/wire/typed_param.ts";
import type { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import { RpcClient } from "./rpc_client.ts";
import { PATIENCE_MS } from "./until.ts";

const nothing = () => undefined;

/**
 * A client of the admin program and the status program. Its methods throw RpcFailure when the daemon refuses.
 */
export class AdminClient extends RpcClient {
  /** Connects to the daemon's admin socket. Give it back with `await using` or close(). */
  static override async connect(path: string, timeout = PATIENCE_MS): Promise<AdminClient> {
    return new AdminClient(path, await RpcClient.open(path, timeout), timeout);
  }

  /** CONNECT_OPEN. */
  connectOpen(flags = 0): Promise<void> {
    return this.#ask(AdminProcedure.CONNECT_OPEN, (writer) => encodeFlags(writer, { flags }), nothing);
  }

  /** CONNECT_CLOSE: the daemon ends the connection after its reply. */
  connectClose(): Promise<void> {
    return this.#ask(AdminProcedure.CONNECT_CLOSE, nothing, nothing);
  }

  /** GET_LIB_VERSION. */
  libVersion(): Promise<number> {
    return this.#ask(AdminProcedure.GET_LIB_VERSION, nothing, decodeLibVersion);
  }

  /** LIST_SERVERS. */
  listServers(needResults = true, flags = 0): Promise<ListReply<string>> {
    const encode = (writer: XdrWriter) => encodeListServers(writer, { needResults, flags });
    return this.#ask(AdminProcedure.LIST_SERVERS, encode, decodeServerList);
  }

  /** LOOKUP_SERVER. */
  lookupServer(server: string, flags = 0): Promise<string> {
    return this.#askServer(AdminProcedure.LOOKUP_SERVER, server, flags, decodeServer);
  }

  /** GET_THREADPOOL_PARAMETERS. */
  threadpool(server: string, flags = 0): Promise<TypedParam[]> {
    return this.#askServer(AdminProcedure.GET_THREADPOOL_PARAMETERS, server, flags, decodeServerParams);
  }

  /** SET_THREADPOOL_PARAMETERS. */
  setThreadpool(server: string, params: TypedParam[], flags = 0): Promise<void> {
    const encode = (writer: XdrWriter) => encodeSetParams(writer, { server, params, flags });
    return this.#ask(AdminProcedure.SET_THREADPOOL_PARAMETERS, encode, nothing);
  }

  /** LIST_CLIENTS. */
  listClients(server: string, needResults = true, flags = 0): Promise<ListReply<ClientRef>> {
    const encode = (writer: XdrWriter) => encodeListClients(writer, { server, needResults, flags });
    return this.#ask(AdminProcedure.LIST_CLIENTS, encode, decodeClientList);
  }

  /** LOOKUP_CLIENT. */
  lookupClient(server: string, id: bigint, flags = 0): Promise<ClientRef> {
    const encode = (writer: XdrWriter) => encodeLookupClient(writer, { server, id, flags });
    return this.#ask(AdminProcedure.LOOKUP_CLIENT, encode, decodeClientRef);
  }

  /** CLIENT_GET_INFO. */
  clientInfo(client: ClientRef, flags = 0): Promise<TypedParam[]> {
    const encode = (writer: XdrWriter) => encodeClientArgs(writer, { client, flags });
    const decode = (reader: XdrReader) => decodeParams(reader, CLIENT_INFO_MAX, ADMIN_STRING_MAX);
    return this.#ask(AdminProcedure.CLIENT_GET_INFO, encode, decode);
  }

  /** CLIENT_CLOSE. */
  clientClose(client: ClientRef, flags = 0): Promise<void> {
    const encode = (writer: XdrWriter) => encodeClientArgs(writer, { client, flags });
    return this.#ask(AdminProcedure.CLIENT_CLOSE, encode, nothing);
  }

  /** GET_CLIENT_LIMITS. */
  clientLimits(server: string, flags = 0): Promise<TypedParam[]> {
    return this.#askServer(AdminProcedure.GET_CLIENT_LIMITS, server, flags, decodeServerParams);
  }

  /** SET_CLIENT_LIMITS. */
  setClientLimits(server: string, params: TypedParam[], flags = 0): Promise<void> {
    const encode = (writer: XdrWriter) => encodeSetParams(writer, { server, params, flags });
    return this.#ask(AdminProcedure.SET_CLIENT_LIMITS, encode, nothing);
  }

  /** GET_LOGGING_OUTPUTS. */
  loggingOutputs(flags = 0): Promise<LoggingReply> {
    const encode = (writer: XdrWriter) => encodeFlags(writer, { flags });
    return this.#ask(AdminProcedure.GET_LOGGING_OUTPUTS, encode, decodeOutputs);
  }

  /** GET_LOGGING_FILTERS. */
  loggingFilters(flags = 0): Promise<LoggingReply> {
    const encode = (writer: XdrWriter) => encodeFlags(writer, { flags });
    return this.#ask(AdminProcedure.GET_LOGGING_FILTERS, encode, decodeFilters);
  }

  /** SET_LOGGING_OUTPUTS. */
  setLoggingOutputs(value: string | undefined, flags = 0): Promise<void> {
    const encode = (writer: XdrWriter) => encodeSetLogging(writer, { value, flags });
    return this.#ask(AdminProcedure.SET_LOGGING_OUTPUTS, encode, nothing);
  }

  /** SET_LOGGING_FILTERS. */
  setLoggingFilters(value: string | undefined, flags = 0): Promise<void> {
    const encode = (writer: XdrWriter) => encodeSetLogging(writer, { value, flags });
    return this.#ask(AdminProcedure.SET_LOGGING_FILTERS, encode, nothing);
  }

  /** UPDATE_TLS_FILES. */
  updateTlsFiles(server: string, flags = 0): Promise<void> {
    return this.#askServer(AdminProcedure.UPDATE_TLS_FILES, server, flags, nothing);
  }

  /** SET_DAEMON_TIMEOUT. */
  setDaemonTimeout(seconds: number, flags = 0): Promise<void> {
    const encode = (writer: XdrWriter) => encodeTimeout(writer, { seconds, flags });
    return this.#ask(AdminProcedure.SET_DAEMON_TIMEOUT, encode, nothing);
  }

  /** CONNECT_DAEMON_SHUTDOWN. */
  shutdown(flags = 0): Promise<void> {
    const encode = (writer: XdrWriter) => encodeFlags(writer, { flags });
    return this.#ask(AdminProcedure.CONNECT_DAEMON_SHUTDOWN, encode, nothing);
  }

  /** RELEASE of the status program. */
  release(args: ReleaseArgs): Promise<Page> {
    const encode = (writer: XdrWriter) => encodeReleaseArgs(writer, args);
    return this.request(STATUS_PROGRAM, StatusProcedure.RELEASE, encode, decodePage);
  }

  /** A page of a procedure of the status program. */
  page(procedure: number, { flags = 0, cursor = "", limit = 0 }: Partial<PageArgs> = {}): Promise<Page> {
    const encode = (writer: XdrWriter) => encodePageArgs(writer, { flags, cursor, limit });
    return this.request(STATUS_PROGRAM, procedure, encode, decodePage);
  }

  #askServer<T>(
    procedure: number,
    server: string,
    flags: number,
    decode: (reader: XdrReader) => T,
  ): Promise<T> {
    return this.#ask(procedure, (writer) => encodeServerArgs(writer, { server, flags }), decode);
  }

  #ask<T>(
    procedure: number,
    encode: (writer: XdrWriter) => void,
    decode: (reader: XdrReader) => T,
  ): Promise<T> {
    return this.request(ADMIN_PROGRAM, procedure, encode, decode);
  }
}

function decodeServerParams(reader: XdrReader): TypedParam[] {
  return decodeParams(reader, SERVER_PARAMS_MAX, ADMIN_STRING_MAX);
}
