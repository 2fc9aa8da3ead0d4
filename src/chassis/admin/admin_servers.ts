import {
  AdminProcedure,
  decodeListServers,
  decodeServerArgs,
  decodeSetParams,
} from "../wire/admin_protocol.ts";
import { encodeServer, encodeServerList } from "../wire/admin_reply.ts";
import { ErrorDomain, internalError, invalidArg } from "../wire/rpc_error.ts";
import { encodeParams } from "../wire/typed_param.ts";
import { serverNamed, serverOfParams } from "./admin_lookup.ts";
import { readUints, uint } from "./admin_params.ts";
import { adminProcedure, type AdminProcedures, checkFlags } from "./admin_procedure.ts";
import type { Administered } from "./administered.ts";

/** There is no pool: one thread serves everybody. */
const POOL = ["minWorkers", "maxWorkers", "nWorkers", "freeWorkers", "prioWorkers", "jobQueueDepth"];

/** Servers, their (absent) thread pools and client limits: procedures 4 to 7, 12, 13 and 18. */
export function serverProcedures(administered: Administered): AdminProcedures {
  return [
    adminProcedure(AdminProcedure.LIST_SERVERS, "ListServers", decodeListServers, (args, reply) => {
      checkFlags(args.flags, 0, "adminConnectListServers");
      // As libvirt's daemon lists them.
      const names = administered.servers().map((server) => server.name).sort();
      reply.ok((writer) => encodeServerList(writer, names, args.needResults));
    }),
    adminProcedure(AdminProcedure.LOOKUP_SERVER, "LookupServer", decodeServerArgs, (args, reply) => {
      // The one procedure whose flags libvirt does not look at.
      const { name } = serverNamed(administered, args.server);
      reply.ok((writer) => encodeServer(writer, name));
    }),
    adminProcedure(
      AdminProcedure.GET_THREADPOOL_PARAMETERS,
      "GetThreadpoolParameters",
      decodeServerArgs,
      (args, reply) => {
        serverNamed(administered, args.server);
        checkFlags(args.flags, 0, "adminServerGetThreadPoolParameters");
        reply.ok((writer) => encodeParams(writer, POOL.map((field) => uint(field, 0))));
      },
    ),
    adminProcedure(
      AdminProcedure.SET_THREADPOOL_PARAMETERS,
      "SetThreadpoolParameters",
      decodeSetParams,
      (args, reply) => {
        serverOfParams(administered, args.server);
        checkFlags(args.flags, 0, "adminServerSetThreadPoolParameters");
        const { minWorkers = 0, maxWorkers = 0 } = readUints(args.params, [
          "minWorkers",
          "maxWorkers",
          "prioWorkers",
        ]);
        if (minWorkers > maxWorkers) {
          throw invalidArg(ErrorDomain.NONE, "minWorkers cannot be larger than maxWorkers");
        }
        if (maxWorkers !== 0) {
          throw invalidArg(
            ErrorDomain.NONE,
            "maxWorkers must not be switched from zero to non-zero and vice versa",
          );
        }
        reply.ok();
      },
    ),
    adminProcedure(AdminProcedure.GET_CLIENT_LIMITS, "GetClientLimits", decodeServerArgs, (args, reply) => {
      const { limits, clients, unauthenticated = 0 } = serverNamed(administered, args.server);
      checkFlags(args.flags, 0, "adminServerGetClientLimits");
      reply.ok((writer) =>
        encodeParams(writer, [
          uint("nclients_max", limits.maxClients),
          uint("nclients", clients.size),
          uint("nclients_unauth_max", limits.maxAnonymousClients),
          uint("nclients_unauth", unauthenticated),
        ])
      );
    }),
    adminProcedure(AdminProcedure.SET_CLIENT_LIMITS, "SetClientLimits", decodeSetParams, (args, reply) => {
      const server = serverOfParams(administered, args.server);
      checkFlags(args.flags, 0, "adminServerSetClientLimits");
      const wanted = readUints(args.params, ["nclients_max", "nclients_unauth_max"]);
      const maxClients = wanted.nclients_max ?? server.limits.maxClients;
      const maxAnonymousClients = wanted.nclients_unauth_max ?? server.limits.maxAnonymousClients;
      if (maxAnonymousClients > maxClients) {
        throw invalidArg(
          ErrorDomain.RPC,
          "The overall maximum number of clients waiting for authentication must not be less than the overall maximum number of clients",
        );
      }
      server.setLimits({ maxClients, maxAnonymousClients });
      reply.ok();
    }),
    adminProcedure(AdminProcedure.UPDATE_TLS_FILES, "UpdateTlsFiles", decodeServerArgs, (args) => {
      serverNamed(administered, args.server);
      checkFlags(args.flags, 0, "adminServerUpdateTlsFiles");
      throw internalError(ErrorDomain.RPC, "no tls service found, unable to update tls files");
    }),
  ];
}
