import { type CommandName, VIRTLOCKD } from "../identity/identity.ts";
import { VERSION } from "../../chassis/config/build_config.ts";
import {
  type ForgivenOptions,
  forgiveOptions,
  type Invocation,
  parseCommandLine,
} from "../../chassis/config/options.ts";
import { defaultPaths } from "../../chassis/config/paths.ts";
import { usageHint, usageText } from "../../chassis/config/usage.ts";
import { UsageError } from "../../chassis/config/usage_error.ts";
import { readActivation } from "../../chassis/systemd/activation.ts";
import { runDaemon } from "../daemon/run.ts";
import { StartError } from "../../chassis/start/start_error.ts";
import { runInternal } from "./internal.ts";
import { runCommand } from "./run_command.ts";
import { linuxSys } from "../../os/linux.ts";
import type { Sys } from "../../os/sys.ts";
import { exitProcess, runtimeFacts } from "../../os/runtime.ts";

const NAME = VIRTLOCKD.name;

/** What is to be done: a command, or a daemon with what is wrong with its arguments. */
type Task =
  | Exclude<Invocation<CommandName>, { kind: "daemon" }>
  | { readonly kind: "daemon" } & ForgivenOptions;

/**
 * Whoever was started with listening sockets is the daemon and nothing else, whatever its arguments are; and
 * whether a mistake in them keeps a daemon from starting depends on what is at stake.
 *
 * @throws UsageError when it is certainly no daemon that was wanted
 */
function invocationOf(sys: Sys, args: readonly string[]): Task {
  const { descriptors } = readActivation((name) => Deno.env.get(name), sys.pid());
  if (descriptors.length > 0) return { kind: "daemon", ...forgiveOptions(args, VIRTLOCKD.commands) };
  try {
    const invocation = parseCommandLine(args, VIRTLOCKD.commands);
    return invocation.kind === "daemon" ? { ...invocation, mistakes: [] } : invocation;
  } catch (error) {
    if (!(error instanceof UsageError) || args[0]?.startsWith("-") !== true) throw error;
    return { kind: "daemon", ...forgiveOptions(args, VIRTLOCKD.commands) };
  }
}

/**
 * Runs the program and ends the process with its exit code.
 *
 * @param sys the kernel; tests put faults between it and the program
 */
export function main(sys: Sys = linuxSys()): void {
  const facts = runtimeFacts();
  try {
    const invocation = invocationOf(sys, facts.args);
    switch (invocation.kind) {
      case "help":
        console.log(
          usageText(
            VIRTLOCKD,
            defaultPaths(VIRTLOCKD, { uid: sys.uid(), env: Deno.env.toObject(), exists: () => false }),
          ),
        );
        return;
      case "version":
        console.log(`${NAME} (deno-virtlockd) ${VERSION}`);
        return;
      case "command": {
        const { name, args } = invocation;
        const env = Deno.env.toObject();
        runCommand({ sys, facts, env, programName: NAME, name, args }).then(exitProcess);
        return;
      }
      case "internal":
        exitProcess(runInternal(sys, invocation.name, invocation.args));
        break;
      case "daemon":
        exitProcess(runDaemon(sys, facts, invocation.options, invocation.mistakes));
    }
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${NAME}: error: ${error.message}\n${usageHint(NAME)}`);
      exitProcess(1);
    }
    if (error instanceof StartError) {
      console.error(`${NAME}: error: ${error.message}`);
      exitProcess(error.code);
    }
    throw error;
  }
}
