import { runAlone } from "../../chassis/children/lone_program.ts";
import type { ProgramResult } from "../../os/program_result.ts";
import type { Sys } from "../../os/sys.ts";
import type { HelperCommand } from "./helper_protocol.ts";

/** Most bytes that are kept of a program's output. */
const MAX_OUTPUT = 8192;

/**
 * Runs a program to its end and collects its standard output and error. Blocks: for a helper process, which
 * has no loop of its own.
 *
 * @param limit milliseconds after which it is killed
 */
export function runProgram(sys: Sys, command: HelperCommand, limit: number): ProgramResult {
  return runAlone(sys, command, limit, MAX_OUTPUT);
}
