import type { Peer } from "../rpc/program.ts";
import {
  AdminProcedure,
  type ClientRef,
  decodeClientArgs,
  decodeListClients,
  decodeLookupClient,
  encodeClientRef,
} from "../wire/admin_protocol.ts";
import { ADMIN_LIST_MAX, encodeClientList } from "../wire/admin_reply.ts";
import { ErrorDomain, internalError } from "../wire/rpc_error.ts";
import { encodeParams, ParamType, type TypedParam } from "../wire/typed_param.ts";
import { clientOfInfo, clientWithId, serverNamed, serverOfParams } from "./admin_lookup.ts";
import { adminProcedure, type AdminProcedures, checkFlags } from "./admin_procedure.ts";
import type { Administered } from "./administered.ts";

const UNIX_SOCKET = 0;

/** Why a connection ended that CLIENT_CLOSE has closed. */
export const CLOSED_BY_ADMINISTRATOR = "closed by an administrator";

/** The clients of a server: procedures 8 to 11. */
export function clientProcedures(administered: Administered): AdminProcedures {
  return [
    adminProcedure(AdminProcedure.LIST_CLIENTS, "ListClients", decodeListClients, (args, reply) => {
      const { name, clients } = serverNamed(administered, args.server);
      checkFlags(args.flags, 0, "adminServerListClients");
      if (args.needResults && clients.size > ADMIN_LIST_MAX) {
        throw internalError(
          ErrorDomain.ADMIN,
          `Too many clients '${clients.size}' for limit '${ADMIN_LIST_MAX}'`,
        );
      }
      const list = [...clients.values()].map(({ peer }) => clientRef(name, peer));
      reply.ok((writer) => encodeClientList(writer, list, args.needResults));
    }),
    adminProcedure(AdminProcedure.LOOKUP_CLIENT, "LookupClient", decodeLookupClient, (args, reply) => {
      const server = serverNamed(administered, args.server);
      const client = clientWithId(server, args.id);
      checkFlags(args.flags, 0, "adminServerLookupClient");
      reply.ok((writer) => encodeClientRef(writer, clientRef(server.name, client.peer)));
    }),
    adminProcedure(AdminProcedure.CLIENT_GET_INFO, "ClientGetInfo", decodeClientArgs, (args, reply) => {
      const server = serverOfParams(administered, args.client.server);
      const { peer } = clientOfInfo(server, args.client.id);
      checkFlags(args.flags, 0, "adminClientGetInfo");
      reply.ok((writer) => encodeParams(writer, clientInfo(peer, administered)));
    }),
    adminProcedure(AdminProcedure.CLIENT_CLOSE, "ClientClose", decodeClientArgs, (args, reply) => {
      const server = serverNamed(administered, args.client.server);
      const client = clientWithId(server, args.client.id);
      checkFlags(args.flags, 0, "adminClientClose");
      // A client that closes itself gets no reply: the connection has ended before.
      client.end(CLOSED_BY_ADMINISTRATOR);
      reply.ok();
    }),
  ];
}

function clientRef(server: string, peer: Peer): ClientRef {
  return {
    server,
    id: BigInt(peer.clientId),
    timestamp: BigInt(Math.floor(peer.connectedAt / 1000)),
    transport: UNIX_SOCKET,
  };
}

function clientInfo(peer: Peer, { userName, groupName }: Administered): TypedParam[] {
  const info: TypedParam[] = [
    { field: "readonly", type: ParamType.BOOLEAN, value: false },
    { field: "unix_user_id", type: ParamType.INT, value: peer.uid | 0 },
    { field: "unix_user_name", type: ParamType.STRING, value: userName(peer.uid) },
    { field: "unix_group_id", type: ParamType.INT, value: peer.gid | 0 },
    { field: "unix_group_name", type: ParamType.STRING, value: groupName(peer.gid) },
    { field: "unix_process_id", type: ParamType.INT, value: peer.pid },
  ];
  if (peer.security !== "") {
    info.push({ field: "selinux_context", type: ParamType.STRING, value: peer.security });
  }
  return info;
}
