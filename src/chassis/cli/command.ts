import type { Sys } from "../../os/sys.ts";
import type { Arguments, Operand, OptionSpec } from "./arguments.ts";
import type { Confirmation } from "./confirm.ts";
import type { Output } from "./output.ts";

/** Exit codes of the commands. */
export const CommandExit = {
  OK: 0,
  /** Wrong usage, or doctor found a problem. */
  PROBLEM: 1,
  /** The daemon cannot be reached, or does not let this user ask. */
  UNREACHABLE: 2,
} as const;

/** What a command works with. */
export interface CommandContext {
  readonly sys: Sys;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Standard output. */
  readonly out: Output;
  /** Asks whoever has called the command a question that "yes" answers. */
  readonly confirm: (question: string) => Confirmation;
  /** Says on standard error what whoever has called the command has to know, while it goes on. */
  readonly warn: (message: string) => void;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** A command of the program: its options, and what it does. */
export interface Command {
  readonly name: string;
  /** What it does, as `--help` says it. */
  readonly purpose: string;
  /** The one word that it needs besides options; none where this is absent. */
  readonly operand?: Operand;
  /** All but `--help`. */
  readonly options: readonly OptionSpec[];
  /**
   * Runs it.
   *
   * @returns one of {@link CommandExit}
   * @throws UsageError, CommandError; OutputClosed when nobody reads any more
   */
  run(context: CommandContext, args: Arguments): number | Promise<number>;
}

/** A command cannot do what it was asked. The message is one line for the administrator. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code: number;

  /** @param code one of {@link CommandExit} */
  constructor(code: number, message: string, options?: { cause: unknown }) {
    super(message, options);
    this.code = code;
  }
}
