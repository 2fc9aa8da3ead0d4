import { versionNumber } from "../wire/version_number.ts";
import { asProgram, type Peer, type Program } from "../rpc/program.ts";
import {
  ADMIN_MAX_PAYLOAD,
  ADMIN_PROGRAM,
  ADMIN_VERSION,
  AdminProcedure,
  decodeFlags,
  decodeTimeout,
  SHUTDOWN_PRESERVE,
} from "../wire/admin_protocol.ts";
import { encodeLibVersion } from "../wire/admin_reply.ts";
import { clientProcedures } from "./admin_clients.ts";
import { loggingProcedures } from "./admin_logging.ts";
import { adminProcedure, type AdminProcedures, checkFlags } from "./admin_procedure.ts";
import { serverProcedures } from "./admin_servers.ts";
import type { Administered } from "./administered.ts";

/**
 * The admin program of docs/protocol.md: virt-admin(1) speaks it.
 *
 * @param version of this program, `MAJOR.MINOR.RELEASE`
 */
export function adminProgram(administered: Administered, version: string): Program {
  return asProgram<Peer>({
    name: "admin",
    number: ADMIN_PROGRAM,
    version: ADMIN_VERSION,
    maxPayload: ADMIN_MAX_PAYLOAD,
    procedures: new Map([
      ...daemonProcedures(administered, version),
      ...serverProcedures(administered),
      ...clientProcedures(administered),
      ...loggingProcedures(administered),
    ]),
    connect: (peer) => peer,
    disconnect: () => {},
  });
}

/** The connection and the daemon itself: procedures 1 to 3, 19 and 20. */
function daemonProcedures(administered: Administered, version: string): AdminProcedures {
  return [
    adminProcedure(AdminProcedure.CONNECT_OPEN, "ConnectOpen", decodeFlags, (args, reply) => {
      checkFlags(args.flags, 0, "adminDispatchConnectOpen");
      reply.ok();
    }),
    adminProcedure(AdminProcedure.CONNECT_CLOSE, "ConnectClose", () => undefined, (_args, reply) => {
      reply.okAndClose();
    }),
    adminProcedure(AdminProcedure.GET_LIB_VERSION, "GetLibVersion", () => undefined, (_args, reply) => {
      reply.ok((writer) => encodeLibVersion(writer, versionNumber(version)));
    }),
    adminProcedure(AdminProcedure.SET_DAEMON_TIMEOUT, "SetDaemonTimeout", decodeTimeout, (args, reply) => {
      checkFlags(args.flags, 0, "adminConnectSetDaemonTimeout");
      administered.setIdleTimeout(args.seconds);
      reply.ok();
    }),
    adminProcedure(
      AdminProcedure.CONNECT_DAEMON_SHUTDOWN,
      "ConnectDaemonShutdown",
      decodeFlags,
      (args, reply) => {
        checkFlags(args.flags, SHUTDOWN_PRESERVE, "adminConnectDaemonShutdown");
        // The reply first: afterwards nobody may be there to send it.
        reply.ok();
        administered.shutdown((args.flags & SHUTDOWN_PRESERVE) !== 0);
      },
    ),
  ];
}
