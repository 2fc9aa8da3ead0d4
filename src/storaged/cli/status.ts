import { type Command, CommandExit } from "../../chassis/cli/command.ts";
import { durationText, pairs, timeText } from "../../chassis/cli/table.ts";
import { STATUS } from "../status/document_shapes.ts";
import type { StatusDocument } from "../status/documents.ts";
import { StatusProcedure } from "../wire/status_protocol.ts";
import { CONNECT_OPTION, JSON_OPTION, jsonText } from "../../chassis/cli/asking.ts";
import { ask } from "./ask.ts";

/** `virtstoraged status`: how the daemon is doing. */
export const statusCommand: Command = {
  name: "status",
  purpose:
    "Shows how the running daemon is doing: version, uptime, clients, pools, jobs and helper processes.",
  options: [CONNECT_OPTION, JSON_OPTION],
  run(context, args) {
    const status = ask(context, args, { procedure: StatusProcedure.GET_STATUS, shape: STATUS });
    const text = args.has("json") ? jsonText(status) : statusText(status, context.now());
    context.out.write(text);
    return CommandExit.OK;
  },
};

/** The status for people. */
export function statusText(status: StatusDocument, now: number): string {
  const { version, pid, started, servers, streams, jobs, pools, helpers, idleTimeout } = status;
  const uptime = durationText(Math.max(0, Math.floor((now - started) / 1000)));
  return pairs([
    ["version", version],
    ["pid", String(pid)],
    ["running since", `${timeText(started)} (${uptime})`],
    [
      "clients",
      servers.map(({ name, clients, clientsMax }) => `${clients} of ${clientsMax} (${name})`).join(", "),
    ],
    ["pools", `${pools.active} active, ${pools.inactive} inactive`],
    ...pools.hung.length === 0 ? [] : [["storage that does not answer", pools.hung.join(", ")] as const],
    ["jobs", String(jobs)],
    ["streams", String(streams)],
    ["helper processes", String(helpers)],
    ["idle timeout", idleTimeout === 0 ? "none" : durationText(idleTimeout)],
  ]);
}
