import { VERSION } from "../config/build_config.ts";
import { type Tokenizer, tokenizerFor } from "../config/option_tokens.ts";
import {
  type ForgivenOptions,
  forgiveOptions,
  type Invocation,
  parseCommandLine,
} from "../config/options.ts";
import { defaultPaths } from "../config/paths.ts";
import { usageHint, usageText } from "../config/usage.ts";
import { UsageError } from "../config/usage_error.ts";
import { StartError } from "../start/start_error.ts";
import { readActivation } from "../systemd/activation.ts";
import { exitProcess, type RuntimeFacts } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
import type { DaemonProgram } from "./program.ts";
import { runCommand } from "./run_command.ts";

/** What is to be done: a command, or a daemon with what is wrong with its arguments. */
type Task<C extends string> =
  | Exclude<Invocation<C>, { kind: "daemon" }>
  | { readonly kind: "daemon" } & ForgivenOptions;

/**
 * Whoever was started with listening sockets is the daemon and nothing else, whatever its arguments are; and
 * whether a mistake in them keeps a daemon from starting depends on what is at stake.
 *
 * @throws UsageError when it is certainly no daemon that was wanted
 */
function taskOf<C extends string>(
  { identity: { commands } }: DaemonProgram<C>,
  sys: Sys,
  args: readonly string[],
  tokensOf: Tokenizer,
): Task<C> {
  const { descriptors } = readActivation((name) => Deno.env.get(name), sys.pid());
  if (descriptors.length > 0) return { kind: "daemon", ...forgiveOptions(args, commands, tokensOf) };
  try {
    const invocation = parseCommandLine(args, commands, tokensOf);
    return invocation.kind === "daemon" ? { ...invocation, mistakes: [] } : invocation;
  } catch (error) {
    if (!(error instanceof UsageError) || args[0]?.startsWith("-") !== true) throw error;
    return { kind: "daemon", ...forgiveOptions(args, commands, tokensOf) };
  }
}

/** Runs a program of the family and ends the process with its exit code. */
export async function runProgram<C extends string>(
  program: DaemonProgram<C>,
  sys: Sys,
  facts: RuntimeFacts,
): Promise<void> {
  const { identity } = program;
  const { name } = identity;
  try {
    const task = taskOf(program, sys, facts.args, await tokenizerFor(facts.args));
    switch (task.kind) {
      case "help": {
        const env = Deno.env.toObject();
        console.log(
          usageText(identity, defaultPaths(identity, { uid: sys.uid(), env, exists: () => false })),
        );
        return;
      }
      case "version":
        console.log(`${name} (${identity.product}) ${VERSION}`);
        return;
      case "command": {
        const call = { sys, facts, env: Deno.env.toObject(), programName: name, args: task.args };
        exitProcess(await runCommand({ ...call, command: program.commands[task.name] }));
        break;
      }
      case "internal":
        exitProcess(runInternal(program, sys, task.name, task.args));
        break;
      case "daemon":
        exitProcess(program.run(sys, facts, task.options, task.mistakes));
    }
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${name}: error: ${error.message}\n${usageHint(name)}`);
      exitProcess(1);
    }
    if (error instanceof StartError) {
      console.error(`${name}: error: ${error.message}`);
      exitProcess(error.code);
    }
    throw error;
  }
}

function runInternal(
  { identity, internal }: DaemonProgram,
  sys: Sys,
  name: string,
  args: readonly string[],
): number {
  const run = internal.get(name);
  if (run !== undefined) return run(sys, args);
  console.error(`${identity.name}: error: Unknown command "${name}"`);
  return 1;
}
