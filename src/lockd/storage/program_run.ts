import { askingManner, resultOf } from "../../chassis/children/asked_program.ts";
import { awaitChild } from "../../chassis/children/awaited_child.ts";
import { EventLoop } from "../../chassis/event/event_loop.ts";
import { DescriptorLedger } from "../../os/ledger.ts";
import type { ProgramResult } from "../../os/program_result.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
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
  let loop: EventLoop;
  try {
    loop = new EventLoop(sys);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return { kind: "failed", reason: error.message };
  }
  const parts = { sys, loop, ledger: new DescriptorLedger(sys) };
  try {
    return resultOf(awaitChild(parts, command, askingManner(limit, MAX_OUTPUT)));
  } finally {
    loop.close();
  }
}
