import { ErrorDomain, internalError, RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { FOREIGN_FUNCTIONS } from "./foreign_functions.ts";
import { OF_OTHER_DAEMONS } from "./other_daemons.ts";
import { opened, type StorageProcedures } from "./storage_session.ts";

const NO_SUPPORT = 3;
/** VIR_FROM_DOMAIN: as libvirt's storage daemon has it for all of them, but for those of secrets. */
const DOMAIN = 20;
/** VIR_FROM_SECRET: as libvirt has it where nobody keeps secrets. */
const SECRET = 30;
const PREFIX = "this function is not supported by the connection driver: ";

/** The procedures that a storage daemon has to know only to say that it does not have them. */
export const FOREIGN_PROCEDURES: StorageProcedures = [
  ...Object.entries(FOREIGN_FUNCTIONS).map(([number, api]) =>
    opened(Number(number), api.replace(/^vir/, ""), (_session, _args, reply) => {
      const domain = api.includes("Secret") ? SECRET : DOMAIN;
      reply.fail(new RpcFailure(NO_SUPPORT, domain, PREFIX + api, `${PREFIX}%s`, api));
    })
  ),
  ...OF_OTHER_DAEMONS.map((number) =>
    opened(number, `Procedure${number}`, (_session, _args, reply) => {
      reply.fail(internalError(ErrorDomain.RPC, "connection not open"));
    })
  ),
];
