import { processCommand } from "../../os/process_state.ts";
import type { Sys } from "../../os/sys.ts";
import { CLIENT } from "../status/document_shapes.ts";
import type { ClientEntry } from "../status/status_document.ts";
import { StatusProcedure } from "../wire/status_protocol.ts";
import { CONNECT_OPTION, JSON_OPTION, jsonText } from "../../chassis/cli/asking.ts";
import { connect } from "./ask.ts";
import { type Command, CommandExit } from "../../chassis/cli/command.ts";
import { table, timeText } from "../../chassis/cli/table.ts";

const HEADER = ["SERVER", "ID", "PID", "COMMAND", "USER", "CONNECTED", "DOMAIN", "UUID", "LOCKS"];

/** `virtlockd clients`: who is connected. */
export const clientsCommand: Command = {
  name: "clients",
  purpose:
    "Lists the connected clients: process, user, the guest they speak for, and the locks that end with them.",
  options: [CONNECT_OPTION, JSON_OPTION],
  run(context, args) {
    using daemon = connect(context, args);
    const clients = daemon.list(StatusProcedure.LIST_CLIENTS, CLIENT);
    context.out.write(args.has("json") ? jsonText(clients) : clientsText(clients, context.sys));
    return CommandExit.OK;
  },
};

/** A table with a row for each client. Names of commands and users are looked up here, not in the daemon. */
export function clientsText(
  clients: readonly ClientEntry[],
  sys: Pick<Sys, "open" | "read" | "close" | "userName">,
): string {
  return table(
    HEADER,
    clients.map(({ server, id, pid, uid, connected, owner, locks }) => [
      server,
      String(id),
      String(pid),
      processCommand(sys, pid) || "-",
      sys.userName(uid),
      timeText(connected),
      owner?.domain || "-",
      owner?.uuid ?? "-",
      locks === undefined ? "-" : String(locks),
    ]),
  );
}
