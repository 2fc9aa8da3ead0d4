import { CONNECT_OPTION, JSON_OPTION, jsonText } from "../../chassis/cli/asking.ts";
import { type Command, CommandExit } from "../../chassis/cli/command.ts";
import { table, timeText } from "../../chassis/cli/table.ts";
import type { Sys } from "../../os/sys.ts";
import { CLIENTS } from "../status/document_shapes.ts";
import type { ClientDocument } from "../status/documents.ts";
import { StatusProcedure } from "../wire/status_protocol.ts";
import { ask } from "./ask.ts";

/** `virtstoraged clients`: who is connected. */
export const clientsCommand: Command = {
  name: "clients",
  purpose: "Lists the clients of the pools: process, user, what they may do, and what is under way for them.",
  options: [CONNECT_OPTION, JSON_OPTION],
  run(context, args) {
    const clients = ask(context, args, { procedure: StatusProcedure.LIST_CLIENTS, shape: CLIENTS });
    context.out.write(args.has("json") ? jsonText(clients) : clientsText(clients, context.sys));
    return CommandExit.OK;
  },
};

/** A table with a row for each client. Names of users are looked up here, not in the daemon. */
export function clientsText(clients: readonly ClientDocument[], sys: Pick<Sys, "userName">): string {
  if (clients.length === 0) return "No client is connected\n";
  const rows = clients.map(({ id, pid, uid, connected, access, calls, streams }) => [
    String(id),
    pid === 0 ? "-" : String(pid),
    sys.userName(uid),
    timeText(connected),
    access,
    String(calls),
    String(streams),
  ]);
  return table(["ID", "PID", "USER", "CONNECTED", "MAY", "CALLS", "STREAMS"], rows);
}
