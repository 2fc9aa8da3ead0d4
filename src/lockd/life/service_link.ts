import type { Log } from "../../chassis/log/log.ts";
import type { Environment } from "../../chassis/start/start.ts";
import { NotifySocket } from "../../chassis/systemd/notify.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { readHandover } from "../crash/journal_handover.ts";
import type { Prepared } from "./prepare_process.ts";
import type { Beginning } from "./read_start.ts";
import { findServiceManager } from "./service_manager.ts";

/** How the service manager is reached. */
export interface ServiceLink {
  /** Undefined without one, and where it cannot be reached. */
  readonly notify: NotifySocket | undefined;
  /** Value of NOTIFY_SOCKET, found out where the environment does not say. */
  readonly notifyAddress: string | undefined;
  /** The environment with what had to be found out. */
  readonly env: Environment;
  /** What had to be found out. */
  readonly variables: Readonly<Record<string, string>>;
  /** Why it is not known whether it keeps descriptors; undefined when it is. */
  readonly doubt: string | undefined;
}

/**
 * Finds the service manager and connects to it. libvirt's daemon hands over no word of it, so that it may
 * have to be asked for.
 *
 * @param self environment of this program as a list
 */
export function linkService(
  sys: Sys,
  self: readonly string[],
  env: Environment,
  { handed }: Beginning,
  { loop, ledger }: Prepared,
  log: Log,
): ServiceLink {
  const before = readHandover(handed?.extension?.journal);
  const stored = before.store !== "none" && !before.tight;
  const predecessor = handed === undefined ? "none" : stored ? "stored" : "unstored";
  const manager = findServiceManager({ sys, loop, ledger, env: self, predecessor });
  if (manager.doubt !== undefined) {
    log.warn(
      `Could not learn how many descriptors systemd keeps for this service: ${manager.doubt}. ` +
        `It is sent all of them, and the log says so if it does not keep them`,
    );
  }
  const serviceEnv = { ...env, ...manager.variables };
  const notifyAddress = serviceEnv["NOTIFY_SOCKET"];
  const connected = NotifySocket.connect(sys, ledger, notifyAddress);
  const notify = connected instanceof NotifySocket ? connected : undefined;
  if (connected !== undefined && !(connected instanceof NotifySocket)) {
    const { message } = new SystemError("connect", `NOTIFY_SOCKET ${notifyAddress}`, connected.errno);
    log.warn(`${message}; the service manager is told nothing, and keeps no locks over a crash`);
  }
  const { variables, doubt } = manager;
  return { notify, notifyAddress, env: serviceEnv, variables, doubt };
}
