import type { Arguments } from "./arguments.ts";
import { type CommandContext, CommandError, CommandExit } from "./command.ts";

/** What commands say where nobody can be asked that do not name what has not happened. */
export const NEEDS_YES = 'Without a terminal to ask at, "--yes" is needed';

/**
 * Asks whoever has called the command, unless that has said yes already.
 *
 * @param undone what has not happened when the answer is no
 * @param alone what is said where nobody can be asked
 * @returns whether somebody was asked, which takes its time
 * @throws CommandError unless it is agreed to
 */
export function agree(
  { confirm }: CommandContext,
  args: Arguments,
  undone: string,
  question: string,
  alone = `${undone}: without a terminal to ask at, "--yes" is needed`,
): "told" | "asked" {
  if (args.has("yes")) return "told";
  switch (confirm(question)) {
    case "yes":
      return "asked";
    case "no":
      throw new CommandError(CommandExit.PROBLEM, undone);
    case "nobody":
      throw new CommandError(CommandExit.PROBLEM, alone);
  }
}
