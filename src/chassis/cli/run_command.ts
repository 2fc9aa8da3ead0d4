import { plainText } from "../log/plain_text.ts";
import { UsageError } from "../config/usage_error.ts";
import { isTerminal, type RuntimeFacts } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { tokenizerFor } from "../config/option_tokens.ts";
import { helpText, parseArguments } from "./arguments.ts";
import { confirm } from "./confirm.ts";
import { type Command, CommandError, CommandExit } from "./command.ts";
import { chooseCommand, type CommandGroup } from "./command_group.ts";
import { DescriptorOutput, OutputClosed } from "./output.ts";
import { shieldFromDebugger } from "./shield.ts";

const STANDARD_OUTPUT = 1;

/** A command of the command line. */
export interface CommandCall {
  readonly sys: Sys;
  readonly facts: RuntimeFacts;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How the program calls itself. */
  readonly programName: string;
  readonly command: Command | CommandGroup;
  readonly args: readonly string[];
}

/**
 * Runs a command. Everything that goes wrong is told in one line on standard error.
 *
 * @returns exit code
 */
export async function runCommand(
  { sys, facts, env, programName, command, args }: CommandCall,
): Promise<number> {
  const out = new DescriptorOutput(sys, STANDARD_OUTPUT);
  // A name in it may be somebody else's choice.
  const say = (kind: string, message: string) =>
    console.error(`${programName}: ${kind}: ${plainText(message)}`);
  const complain = (message: string) => say("error", message);
  const warn = (message: string) => say("warning", message);
  let name = command.name;
  try {
    const chosen = chooseCommand(command, args, programName);
    if (chosen.kind === "help") {
      out.write(chosen.text);
      return CommandExit.OK;
    }
    name = chosen.command.name;
    const parsed = parseArguments(chosen.command, chosen.args, await tokenizerFor(chosen.args));
    if (parsed === "help") {
      out.write(helpText(chosen.command, programName));
      return CommandExit.OK;
    }
    shieldFromDebugger(sys, facts);
    // The runtime's own name would be all that ps(1) and the list of clients show.
    sys.setThreadName(programName);
    const ask = (question: string) => confirm(sys, isTerminal("stdin"), question);
    return await chosen.command.run({ sys, env, out, confirm: ask, warn, now: () => Date.now() }, parsed);
  } catch (error) {
    if (error instanceof OutputClosed) return CommandExit.OK;
    if (error instanceof UsageError) {
      complain(`${error.message}; see '${programName} ${name} --help'`);
      return CommandExit.PROBLEM;
    }
    if (error instanceof CommandError) {
      complain(error.message);
      return error.code;
    }
    if (error instanceof SystemError) {
      complain(error.message);
      return CommandExit.PROBLEM;
    }
    throw error;
  }
}
