import { SystemError } from "../../os/system_error.ts";

/** Exit codes. docs/behaviour.md, Command line. */
export const ExitCode = {
  OK: 0,
  USAGE: 1,
  RUN_DIRECTORY: 2,
  INITIALISATION: 3,
  SOCKETS: 6,
  EXEC: 9,
  /** To a service manager: the end of a daemon that is to be started again. EX_TEMPFAIL of sysexits.h. */
  AGAIN: 75,
  /** To a service manager: starting again cannot help. EX_CONFIG of sysexits.h. */
  HOPELESS: 78,
} as const;

/** The daemon cannot start; the message is for the administrator. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly code: number;

  /** @param code one of {@link ExitCode} */
  constructor(code: number, message: string, options?: { cause: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** What has ended a start: a kernel's refusal that no step foresaw is still a failed start with a reason. */
export function startFailure(error: unknown): unknown {
  return error instanceof SystemError
    ? new StartError(ExitCode.INITIALISATION, error.message, { cause: error })
    : error;
}
