import { ADMIN_PROGRAM, AdminProcedure } from "../../../src/chassis/wire/admin_protocol.ts";
import {
  encodeClientArgs,
  encodeListClients,
  encodeListServers,
  encodeLookupClient,
  encodeServerArgs,
  encodeSetLogging,
  encodeSetParams,
  encodeTimeout,
} from "../../support/admin_codec.ts";
import type { TypedParam } from "../../../src/chassis/wire/typed_param.ts";
import { type Request, xdr } from "./conversation.ts";

// Requests of the admin program, by the names of the protocol.

/** Any procedure with any payload. */
export function adminCall(procedure: number, payload: Uint8Array): Request {
  return { program: ADMIN_PROGRAM, procedure, payload };
}

/** A procedure that takes flags only. */
export function withFlags(procedure: number, flags = 0): Request {
  return adminCall(procedure, xdr((writer) => writer.u32(flags)));
}

/** LIST_SERVERS. */
export function listServers(needResults: boolean, flags = 0): Request {
  return adminCall(
    AdminProcedure.LIST_SERVERS,
    xdr((writer) => encodeListServers(writer, { needResults, flags })),
  );
}

/** LOOKUP_SERVER, GET_THREADPOOL_PARAMETERS, GET_CLIENT_LIMITS or UPDATE_TLS_FILES. */
export function aboutServer(procedure: number, server: string, flags = 0): Request {
  return adminCall(procedure, xdr((writer) => encodeServerArgs(writer, { server, flags })));
}

/** SET_THREADPOOL_PARAMETERS or SET_CLIENT_LIMITS. */
export function setParams(procedure: number, server: string, params: TypedParam[], flags = 0): Request {
  return adminCall(procedure, xdr((writer) => encodeSetParams(writer, { server, params, flags })));
}

/** LIST_CLIENTS. */
export function listClients(server: string, needResults: boolean, flags = 0): Request {
  const encode = { server, needResults, flags };
  return adminCall(AdminProcedure.LIST_CLIENTS, xdr((writer) => encodeListClients(writer, encode)));
}

/** LOOKUP_CLIENT. */
export function lookupClient(server: string, id: bigint, flags = 0): Request {
  return adminCall(
    AdminProcedure.LOOKUP_CLIENT,
    xdr((writer) => encodeLookupClient(writer, { server, id, flags })),
  );
}

/** CLIENT_GET_INFO or CLIENT_CLOSE; time and transport are not looked at. */
export function aboutClient(procedure: number, server: string, id: bigint, flags = 0): Request {
  const client = { server, id, timestamp: 0n, transport: 0 };
  return adminCall(procedure, xdr((writer) => encodeClientArgs(writer, { client, flags })));
}

/** SET_LOGGING_OUTPUTS or SET_LOGGING_FILTERS. */
export function setLogging(procedure: number, value: string | undefined, flags = 0): Request {
  return adminCall(procedure, xdr((writer) => encodeSetLogging(writer, { value, flags })));
}

/** SET_DAEMON_TIMEOUT. */
export function setTimeout(seconds: number, flags = 0): Request {
  return adminCall(
    AdminProcedure.SET_DAEMON_TIMEOUT,
    xdr((writer) => encodeTimeout(writer, { seconds, flags })),
  );
}
