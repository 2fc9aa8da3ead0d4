import { strerror } from "../../os/errno.ts";
import type { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { commonError, commonSystemError, storageSystemError } from "../model/storage_error.ts";
import type { ProgramEnd } from "../work/program_run.ts";

/** A system call of storage failed. `result`: -errno. */
export function failedCall(action: string, result: number): RpcFailure {
  return storageSystemError(action, -result, strerror(-result));
}

/** A system call failed of what all of libvirt shares. `result`: -errno. */
export function failedCommonCall(action: string, result: number): RpcFailure {
  return commonSystemError(action, -result, strerror(-result));
}

/**
 * Passes the result of a call of storage through, or throws.
 *
 * @throws RpcFailure
 */
export function succeeded(result: number, action: string): number {
  if (result < 0) throw failedCall(action, result);
  return result;
}

/** An argument as a shell would be given it. */
function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}

/**
 * What a program has written, when it has done its work.
 *
 * @param argv how the command is shown
 * @throws RpcFailure when it failed
 */
export function programOutput(end: ProgramEnd, argv: readonly string[]): string {
  const shown = argv.map(quoted).join(" ");
  switch (end.kind) {
    case "exited": {
      if (end.code === 0) return end.stdout;
      const said = end.stderr === "" ? "" : `: ${end.stderr}`;
      throw commonError("internal", `Child process (${shown}) unexpected exit status ${end.code}${said}`);
    }
    case "killed": {
      const said = end.stderr === "" ? "" : `: ${end.stderr}`;
      throw commonError("internal", `Child process (${shown}) unexpected fatal signal ${end.signal}${said}`);
    }
    case "missing":
      throw failedCommonCall(`Cannot find '${end.program}' in path`, -2);
    case "failed":
      throw commonError("internal", `Child process (${shown}): ${end.reason}`);
  }
}
