import { type Command, CommandExit } from "../../chassis/cli/command.ts";
import { replaceFile } from "../../chassis/cli/replace_file.ts";
import { StatusProcedure } from "../wire/status_protocol.ts";
import { CONNECT_OPTION } from "../../chassis/cli/asking.ts";
import { ask } from "./ask.ts";

/** `virtstoraged metrics`: the metrics once. */
export const metricsCommand: Command = {
  name: "metrics",
  purpose: "Prints the daemon's metrics in Prometheus' text format.",
  options: [
    CONNECT_OPTION,
    { name: "output", value: "FILE", summary: "replace this file as a whole instead of printing" },
  ],
  run(context, args) {
    const text = String(ask(context, args, StatusProcedure.GET_METRICS));
    const output = args.value("output");
    if (output === undefined) context.out.write(text);
    else replaceFile(context.sys, output, text, 0o644);
    return CommandExit.OK;
  },
};
