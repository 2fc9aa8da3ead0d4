import { ErrorDomain, rpcError } from "../../chassis/wire/rpc_error.ts";
import type { StorageService } from "../model/storage_service.ts";
import type { ClientProgram } from "../rpc/client_link.ts";
import {
  ANONYMOUS_MAX_PAYLOAD,
  REMOTE_MAX_PAYLOAD,
  REMOTE_PROGRAM,
  REMOTE_VERSION,
} from "../wire/remote_protocol.ts";
import {
  authProcedures,
  callbackProcedures,
  type ConnectParts,
  connectProcedures,
} from "./connect_procedures.ts";
import { FOREIGN_PROCEDURES } from "./foreign_procedures.ts";
import { POOL_CHANGES, POOL_LISTS, POOL_QUESTIONS } from "./pool_procedures.ts";
import { StorageSession } from "./storage_session.ts";
import { VOLUME_CHANGES, VOLUME_QUESTIONS } from "./volume_procedures.ts";

/** What the remote program is made of. */
export interface RemoteParts extends ConnectParts {
  readonly service: StorageService;
}

/** libvirt's remote program, as far as a storage daemon serves it. */
export function remoteProgram(parts: RemoteParts): ClientProgram {
  const { service, events } = parts;
  const anonymous = new Map(authProcedures(parts));
  const procedures = new Map([
    ...anonymous,
    ...connectProcedures(parts),
    ...callbackProcedures(parts),
    ...POOL_LISTS,
    ...POOL_QUESTIONS,
    ...POOL_CHANGES,
    ...VOLUME_QUESTIONS,
    ...VOLUME_CHANGES,
    ...FOREIGN_PROCEDURES,
  ]);
  return {
    name: "remote",
    number: REMOTE_PROGRAM,
    version: REMOTE_VERSION,
    procedureNames: new Map([...procedures].map(([number, { name }]) => [number, name])),
    payloadLimit: ({ authenticated }) => authenticated ? REMOTE_MAX_PAYLOAD : ANONYMOUS_MAX_PAYLOAD,
    connect(client) {
      const session = new StorageSession(client, service);
      return {
        session,
        call(number, args, reply) {
          const procedure = procedures.get(number);
          if (procedure === undefined) return false;
          if (!client.authenticated && !anonymous.has(number)) {
            reply.fail(rpcError(ErrorDomain.RPC, "authentication required"));
          } else procedure.run(session, args, reply);
          return true;
        },
        disconnect() {
          events.forget(client);
          service.callerGone(String(client.clientId));
        },
      };
    },
  };
}
