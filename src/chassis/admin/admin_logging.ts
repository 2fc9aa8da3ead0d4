import { LogConfigError } from "../log/log_config_error.ts";
import { SystemError } from "../../os/system_error.ts";
import { AdminProcedure, decodeFlags, decodeSetLogging } from "../wire/admin_protocol.ts";
import { encodeFilters, encodeOutputs } from "../wire/admin_reply.ts";
import { ErrorDomain, invalidArg, systemError } from "../wire/rpc_error.ts";
import { adminProcedure, type AdminProcedures, checkFlags } from "./admin_procedure.ts";
import type { Administered } from "./administered.ts";

/** Log outputs and filters: procedures 14 to 17. */
export function loggingProcedures({ logs }: Administered): AdminProcedures {
  return [
    adminProcedure(AdminProcedure.GET_LOGGING_OUTPUTS, "GetLoggingOutputs", decodeFlags, (args, reply) => {
      checkFlags(args.flags, 0, "adminConnectGetLoggingOutputs");
      const [text, count] = [logs.outputsText(), logs.outputsCount];
      reply.ok((writer) => encodeOutputs(writer, { text, count }));
    }),
    adminProcedure(AdminProcedure.GET_LOGGING_FILTERS, "GetLoggingFilters", decodeFlags, (args, reply) => {
      checkFlags(args.flags, 0, "adminConnectGetLoggingFilters");
      const count = logs.filtersCount;
      const text = count === 0 ? undefined : logs.filtersText();
      reply.ok((writer) => encodeFilters(writer, { text, count }));
    }),
    adminProcedure(
      AdminProcedure.SET_LOGGING_OUTPUTS,
      "SetLoggingOutputs",
      decodeSetLogging,
      (args, reply) => {
        checkFlags(args.flags, 0, "adminConnectSetLoggingOutputs");
        translated(() => logs.setOutputs(args.value ?? ""));
        reply.ok();
      },
    ),
    adminProcedure(
      AdminProcedure.SET_LOGGING_FILTERS,
      "SetLoggingFilters",
      decodeSetLogging,
      (args, reply) => {
        checkFlags(args.flags, 0, "adminConnectSetLoggingFilters");
        translated(() => logs.setFilters(args.value ?? ""));
        reply.ok();
      },
    ),
  ];
}

/** Runs a change of the log settings. @throws RpcFailure for what is wrong with it */
function translated(change: () => void): void {
  try {
    change();
  } catch (error) {
    if (error instanceof LogConfigError) throw invalidArg(ErrorDomain.NONE, error.message);
    if (error instanceof SystemError) {
      throw systemError(ErrorDomain.NONE, `failed to open ${error.subject}`, error.errno, error.reason);
    }
    throw error;
  }
}
