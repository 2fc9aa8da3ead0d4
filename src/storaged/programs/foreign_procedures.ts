import { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { opened, type StorageProcedures } from "./storage_session.ts";

const NO_SUPPORT = 3;
/** VIR_FROM_REMOTE. */
const REMOTE_DOMAIN = 20;
const PREFIX = "this function is not supported by the connection driver: ";

/**
 * Functions of libvirt that storage does not have and that clients try on any connection, by procedure. A
 * client learns that they are not here, and not that the daemon does not know them.
 */
const FOREIGN: Readonly<Record<number, string>> = {
  4: "virConnectGetVersion",
  5: "virConnectGetMaxVcpus",
  6: "virNodeGetInfo",
  14: "virConnectListDomains",
  35: "virConnectNumOfDomains",
  36: "virConnectListDefinedDomains",
  37: "virConnectNumOfDefinedDomains",
  59: "virConnectGetHostname",
  203: "virConnectGetSysinfo",
  273: "virConnectListAllDomains",
};

/** The procedures of {@link FOREIGN}. */
export const FOREIGN_PROCEDURES: StorageProcedures = Object.entries(FOREIGN).map(([number, api]) =>
  opened(Number(number), api.replace(/^vir/, ""), (_session, _args, reply) => {
    reply.fail(new RpcFailure(NO_SUPPORT, REMOTE_DOMAIN, PREFIX + api, `${PREFIX}%s`, api));
  })
);
