import { type CommandName, VIRTLOCKD } from "../identity/identity.ts";
import { UsageError } from "../../chassis/config/usage_error.ts";
import { isTerminal, type RuntimeFacts } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { helpText, parseArguments } from "../../chassis/cli/arguments.ts";
import { clientsCommand } from "./clients.ts";
import { confirm } from "../../chassis/cli/confirm.ts";
import { type Command, CommandError, CommandExit } from "../../chassis/cli/command.ts";
import { doctorCommand } from "./doctor.ts";
import { exporterCommand } from "./exporter.ts";
import { locksCommand } from "./locks.ts";
import { metricsCommand } from "./metrics.ts";
import { DescriptorOutput, OutputClosed } from "../../chassis/cli/output.ts";
import { shieldFromDebugger } from "../../chassis/cli/shield.ts";
import { releaseCommand } from "./release.ts";
import { reloadCommand } from "./reload.ts";
import { statusCommand } from "./status.ts";

const STANDARD_OUTPUT = 1;

const COMMANDS: Readonly<Record<CommandName, Command>> = {
  locks: locksCommand,
  clients: clientsCommand,
  status: statusCommand,
  doctor: doctorCommand,
  metrics: metricsCommand,
  exporter: exporterCommand,
  reload: reloadCommand,
  release: releaseCommand,
};

/** A command of the command line. */
export interface CommandCall {
  readonly sys: Sys;
  readonly facts: RuntimeFacts;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How the program calls itself. */
  readonly programName: string;
  readonly name: CommandName;
  readonly args: readonly string[];
}

/**
 * Runs a command. Everything that goes wrong is told in one line on standard error.
 *
 * @returns exit code
 */
export async function runCommand({ sys, facts, env, programName, name, args }: CommandCall): Promise<number> {
  const command = COMMANDS[name];
  const out = new DescriptorOutput(sys, STANDARD_OUTPUT);
  const complain = (message: string) => console.error(`${programName}: error: ${message}`);
  try {
    const parsed = parseArguments(command, args);
    if (parsed === "help") {
      out.write(helpText(command, programName));
      return CommandExit.OK;
    }
    shieldFromDebugger(sys, facts);
    // The runtime's own name would be all that ps(1) and the list of clients show.
    sys.setThreadName(VIRTLOCKD.name);
    const ask = (question: string) => confirm(sys, isTerminal("stdin"), question);
    return await command.run({ sys, env, out, confirm: ask, now: () => Date.now() }, parsed);
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
