import type { Arguments } from "../../../chassis/cli/arguments.ts";
import { type CommandContext, CommandError, CommandExit } from "../../../chassis/cli/command.ts";

/**
 * Asks whoever has called the command, unless that has said yes already.
 *
 * @param undone what has not happened when the answer is no
 * @throws CommandError unless it is agreed to
 */
export function agree({ confirm }: CommandContext, args: Arguments, undone: string, question: string): void {
  if (args.has("yes")) return;
  switch (confirm(question)) {
    case "yes":
      return;
    case "no":
      throw new CommandError(CommandExit.PROBLEM, undone);
    case "nobody":
      throw new CommandError(
        CommandExit.PROBLEM,
        `${undone}: without a terminal to ask at, "--yes" is needed`,
      );
  }
}
