import type { Identity } from "../config/identity.ts";
import { adminSocket, CONNECT_OPTION } from "./asking.ts";
import { type Command, type CommandContext, CommandError, CommandExit } from "./command.ts";
import { replaceFile } from "./replace_file.ts";

/**
 * Asks a daemon for all its metrics in Prometheus' text format.
 *
 * @param socket path of its admin socket
 * @param timeout for the connection and for the answer, in ms
 * @throws CommandError when there is no daemon, no permission or no answer
 */
export type AskMetrics = (context: Pick<CommandContext, "sys">, socket: string, timeout?: number) => string;

/** `metrics`: a daemon's metrics once. @param identity whose metrics they are */
export function metricsCommandOf(identity: Identity, askMetrics: AskMetrics): Command {
  return {
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
      const up = `${identity.name}_up`;
      let text: string;
      try {
        text = askMetrics(context, adminSocket(identity, context, args));
      } catch (error) {
        // A collector that reads the file, or runs this, must not go on seeing the last good answer.
        if (error instanceof CommandError) write(upText(false, up));
        throw error;
      }
      write(upText(true, up) + text);
      return CommandExit.OK;
    },
  };
}

/** The metric that says whether there is a daemon. */
export function upText(up: boolean, name: string): string {
  return `# HELP ${name} Whether the daemon answered.\n# TYPE ${name} gauge\n${name} ${up ? 1 : 0}\n`;
}
