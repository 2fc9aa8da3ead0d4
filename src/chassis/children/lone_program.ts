import { DescriptorLedger } from "../../os/ledger.ts";
import type { ProgramResult } from "../../os/program_result.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { EventLoop } from "../event/event_loop.ts";
import { askingManner, resultOf } from "./asked_program.ts";
import { awaitChild } from "./awaited_child.ts";
import type { ChildCommand } from "./child_start.ts";

/**
 * Runs a program to its end, for a process that has no loop and nobody to serve meanwhile.
 *
 * @param limit milliseconds after which it is killed, with all that it has started
 * @param most bytes that are kept of its output; one that writes more is killed
 */
export function runAlone(sys: Sys, command: ChildCommand, limit: number, most: number): ProgramResult {
  let loop: EventLoop;
  try {
    loop = new EventLoop(sys);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return { kind: "failed", reason: error.message };
  }
  try {
    return resultOf(
      awaitChild({ sys, loop, ledger: new DescriptorLedger(sys) }, command, askingManner(limit, most)),
    );
  } finally {
    loop.close();
  }
}
