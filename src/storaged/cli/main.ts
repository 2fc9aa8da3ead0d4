import type { DaemonProgram } from "../../chassis/cli/program.ts";
import { runProgram } from "../../chassis/cli/run_program.ts";
import { linuxSys } from "../../os/linux.ts";
import { type RuntimeFacts, runtimeFacts } from "../../os/runtime.ts";
import { storageSys } from "../../os/storage_sys.ts";
import type { Sys } from "../../os/sys.ts";
import { runDaemon } from "../daemon/run.ts";
import { type CommandName, VIRTSTORAGED } from "../identity/identity.ts";
import { storageOperations } from "../operations/storage_operations.ts";
import { runHelper } from "../work/helper.ts";
import { clientsCommand } from "./clients.ts";
import { jobsCommand } from "./jobs.ts";
import { exporterCommand, metricsCommand } from "./metrics.ts";
import { statusCommand } from "./status.ts";
import { WORK_COMMAND } from "../work/work_message.ts";

/** The storage daemon, with its commands. */
const PROGRAM: DaemonProgram<CommandName> = {
  identity: VIRTSTORAGED,
  run: runDaemon,
  commands: {
    jobs: jobsCommand,
    clients: clientsCommand,
    status: statusCommand,
    metrics: metricsCommand,
    exporter: exporterCommand,
  },
  internal: new Map([[
    WORK_COMMAND,
    (sys) => runHelper(sys, Object.values(storageOperations(storageSys()))),
  ]]),
};

/**
 * Runs the storage daemon's program and ends the process with its exit code.
 *
 * @param sys the kernel; tests put faults between it and the program
 * @param facts how this process was started
 */
export function main(sys: Sys = linuxSys(), facts: RuntimeFacts = runtimeFacts()): Promise<void> {
  return runProgram(PROGRAM, sys, facts);
}
