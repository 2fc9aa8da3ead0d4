import { ErrorDomain, noClient, noServer } from "../wire/rpc_error.ts";
import type { Administered, AdministeredClient, AdministeredServer } from "./administered.ts";

// libvirt's daemon looks a server or client up in one of two places, which word and number its absence
// differently. Clients show the text, so each procedure keeps its own.

/** The server of that name. @throws RpcFailure (95, RPC) as most procedures give it */
export function serverNamed(administered: Administered, name: string): AdministeredServer {
  const server = administered.servers().find((candidate) => candidate.name === name);
  if (server === undefined) throw noServer(ErrorDomain.RPC, `No server named '${name}'`);
  return server;
}

/** The server of that name. @throws RpcFailure (95, ADMIN) as the procedures that carry parameters give it */
export function serverOfParams(administered: Administered, name: string): AdministeredServer {
  const server = administered.servers().find((candidate) => candidate.name === name);
  if (server === undefined) throw noServer(ErrorDomain.ADMIN, `no server with matching name '${name}' found`);
  return server;
}

/** The client of that id. @throws RpcFailure (96, RPC) */
export function clientWithId(server: AdministeredServer, id: bigint): AdministeredClient {
  const client = findClient(server, id);
  if (client === undefined) throw noClient(ErrorDomain.RPC, `No client with matching ID '${id}'`);
  return client;
}

/** The client of that id. @throws RpcFailure (96, ADMIN) as CLIENT_GET_INFO gives it */
export function clientOfInfo(server: AdministeredServer, id: bigint): AdministeredClient {
  const client = findClient(server, id);
  if (client === undefined) throw noClient(ErrorDomain.ADMIN, `no client with matching id '${id}' found`);
  return client;
}

function findClient(server: AdministeredServer, id: bigint): AdministeredClient | undefined {
  return id > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : server.clients.get(Number(id));
}
