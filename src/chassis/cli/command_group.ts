import { quote } from "../config/quote.ts";
import { UsageError } from "../config/usage_error.ts";
import type { Command } from "./command.ts";

/** Commands that have their first word in common. */
export interface CommandGroup {
  readonly name: string;
  /** What they are for, as `--help` says it. */
  readonly purpose: string;
  /** The names begin with that of the group. */
  readonly commands: readonly Command[];
}

/** What a command line asks for: one command with the arguments that are its own, or nothing but a text. */
export type ChosenCommand =
  | { readonly kind: "command"; readonly command: Command; readonly args: readonly string[] }
  | { readonly kind: "help"; readonly text: string };

/**
 * The command that is wanted, of a group by its first argument.
 *
 * @param programName how the program calls itself
 * @throws UsageError when none of the group is
 */
export function chooseCommand(
  command: Command | CommandGroup,
  args: readonly string[],
  programName: string,
): ChosenCommand {
  if (!("commands" in command)) return { kind: "command", command, args };
  const [word, ...rest] = args;
  if (word === "-h" || word === "--help") return { kind: "help", text: groupHelp(command, programName) };
  const found = command.commands.find(({ name }) => name === `${command.name} ${word}`);
  if (found !== undefined) return { kind: "command", command: found, args: rest };
  const words = command.commands.map(({ name }) => lastWord(name)).join(", ");
  const got = word === undefined ? "" : `, got ${quote(word)}`;
  throw new UsageError(`Say what to do: ${words}${got}`);
}

function lastWord(name: string): string {
  return name.slice(name.lastIndexOf(" ") + 1);
}

/** What `--help` prints of a group. Ends with a line end. */
function groupHelp({ name, purpose, commands }: CommandGroup, programName: string): string {
  const width = Math.max(...commands.map((each) => each.name.length));
  return [
    `Usage: ${programName} ${name} COMMAND [OPTION]...`,
    "",
    purpose,
    "",
    ...commands.map((each) => `  ${each.name.padEnd(width)}  ${each.purpose}`),
    "",
    `Each has a --help of its own.`,
    "",
  ].join("\n");
}
