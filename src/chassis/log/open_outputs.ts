import type { Sys } from "../../os/sys.ts";
import { FileOutput } from "./file_output.ts";
import { JournaldOutput } from "./journald_output.ts";
import { type LogDestination, LogOutput } from "./log_output.ts";
import type { OutputSpec } from "./outputs.ts";
import { StderrOutput } from "./stderr_output.ts";
import { SyslogOutput } from "./syslog_output.ts";

/** Sockets of the log services of this host. */
export interface LogPaths {
  readonly syslog: string;
  readonly journald: string;
}

/** Where the services listen on every Linux host. */
export const LOG_PATHS: LogPaths = { syslog: "/dev/log", journald: "/run/systemd/journal/socket" };

/** What outputs are opened with. */
export interface OutputEnvironment {
  readonly sys: Sys;
  /** Name of the program in the journal. */
  readonly ident: string;
  readonly paths: LogPaths;
}

/**
 * Opens every output of a list, or none. The caller owns the outputs and closes them.
 *
 * @throws SystemError (open, with the path as its subject) when a log file cannot be opened
 */
export function openOutputs(environment: OutputEnvironment, specs: readonly OutputSpec[]): LogOutput[] {
  const opened: LogOutput[] = [];
  try {
    for (const spec of specs) opened.push(new LogOutput(spec, openDestination(environment, spec)));
  } catch (error) {
    for (const output of opened) output.close();
    throw error;
  }
  return opened;
}

function openDestination({ sys, ident, paths }: OutputEnvironment, spec: OutputSpec): LogDestination {
  switch (spec.kind) {
    case "stderr":
      return new StderrOutput(sys);
    case "journald":
      return new JournaldOutput(sys, paths.journald, ident);
    case "syslog":
      return new SyslogOutput(sys, paths.syslog, spec.ident);
    case "file":
      return new FileOutput(sys, spec.path);
  }
}
