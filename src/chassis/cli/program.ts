import type { Identity } from "../config/identity.ts";
import type { DaemonOptions } from "../config/options.ts";
import type { RuntimeFacts } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
import type { Command } from "./command.ts";
import type { CommandGroup } from "./command_group.ts";

/**
 * Runs a daemon in this process, or starts it in the background.
 *
 * @param mistakes what is wrong with the command line and left out of `options`
 * @returns exit code
 * @throws StartError, UsageError when it cannot start
 */
export type DaemonLife = (
  sys: Sys,
  facts: RuntimeFacts,
  options: DaemonOptions,
  mistakes: readonly string[],
) => number;

/**
 * A part of a daemon that the daemon starts for itself, in a process of its own.
 *
 * @returns exit code
 */
export type InternalCommand = (sys: Sys, args: readonly string[]) => number;

/** A daemon of the family as a program: the value that fills the chassis. */
export interface DaemonProgram<C extends string = string> {
  readonly identity: Identity<C>;
  readonly run: DaemonLife;
  /** Where each command of the identity is. */
  readonly commands: Readonly<Record<C, Command | CommandGroup>>;
  /** Not for people. The names begin with `internal-`. */
  readonly internal: ReadonlyMap<string, InternalCommand>;
}
