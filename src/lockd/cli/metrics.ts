import { VIRTLOCKD } from "../identity/identity.ts";
import { StatusProcedure } from "../wire/status_protocol.ts";
import { AdminConnection } from "./admin_connection.ts";
import { adminSocket, CONNECT_OPTION } from "../../chassis/cli/asking.ts";
import { type Command, type CommandContext, CommandError, CommandExit } from "../../chassis/cli/command.ts";
import { replaceFile } from "../../chassis/cli/replace_file.ts";

const UP = "Whether the daemon answered.";

/** `virtlockd metrics`: the metrics once. */
export const metricsCommand: Command = {
  name: "metrics",
  purpose: "Prints the daemon's metrics in Prometheus' text format.",
  options: [
    CONNECT_OPTION,
    { name: "output", value: "FILE", summary: "replace this file as a whole instead of printing" },
  ],
  run(context, args) {
    const output = args.value("output");
    const write = (text: string) =>
      output === undefined ? context.out.write(text) : replaceFile(context.sys, output, text, 0o644);
    let text: string;
    try {
      text = askMetrics(context, adminSocket(VIRTLOCKD, context, args));
    } catch (error) {
      // A collector that reads the file, or runs this, must not go on seeing the last good answer.
      if (error instanceof CommandError) write(upText(false));
      throw error;
    }
    write(upText(true) + text);
    return CommandExit.OK;
  },
};

/** Asks for all metrics. @throws CommandError */
export function askMetrics({ sys }: Pick<CommandContext, "sys">, socket: string, timeout?: number): string {
  using daemon = AdminConnection.connect(sys, socket, timeout);
  return String(daemon.document(StatusProcedure.GET_METRICS));
}

/** The metric that says whether there is a daemon. @param name `virtlockd_up` unless said otherwise */
export function upText(up: boolean, name = "virtlockd_up"): string {
  return `# HELP ${name} ${UP}\n# TYPE ${name} gauge\n${name} ${up ? 1 : 0}\n`;
}
