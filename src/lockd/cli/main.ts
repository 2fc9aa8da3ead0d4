import type { DaemonProgram } from "../../chassis/cli/program.ts";
import { runProgram } from "../../chassis/cli/run_program.ts";
import { linuxSys } from "../../os/linux.ts";
import { type RuntimeFacts, runtimeFacts } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
import { runDaemon } from "../life/run.ts";
import { type CommandName, VIRTLOCKD } from "../identity/identity.ts";
import { clientsCommand } from "./clients.ts";
import { clusterCommands } from "./cluster_commands.ts";
import { doctorCommand } from "./doctor.ts";
import { INTERNAL_COMMANDS } from "./internal.ts";
import { locksCommand } from "./locks.ts";
import { exporterCommand, metricsCommand } from "./metrics.ts";
import { releaseCommand } from "./release.ts";
import { reloadCommand } from "./reload.ts";
import { statusCommand } from "./status.ts";

/** The lock daemon, with its commands. */
const PROGRAM: DaemonProgram<CommandName> = {
  identity: VIRTLOCKD,
  run: runDaemon,
  commands: {
    locks: locksCommand,
    clients: clientsCommand,
    status: statusCommand,
    doctor: doctorCommand,
    metrics: metricsCommand,
    exporter: exporterCommand,
    reload: reloadCommand,
    release: releaseCommand,
    cluster: clusterCommands,
  },
  internal: INTERNAL_COMMANDS,
};

/**
 * Runs the lock daemon's program and ends the process with its exit code.
 *
 * @param sys the kernel; tests put faults between it and the program
 * @param facts how this process was started
 */
export function main(sys: Sys = linuxSys(), facts: RuntimeFacts = runtimeFacts()): Promise<void> {
  return runProgram(PROGRAM, sys, facts);
}
