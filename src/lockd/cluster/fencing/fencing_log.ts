import { shellOperand, shellQuoted } from "../../../base/shell_quoted.ts";
import { counted } from "../../../chassis/log/counted.ts";
import type { Log } from "../../../chassis/log/log.ts";
import type { EarlierStartsObserver } from "../reboot/earlier_starts.ts";
import type { HostFencingObserver } from "./host_fencing.ts";

/** Writes to the log what becomes of hosts that are fenced by a program, or by themselves after a reboot. */
export function fencingLog(log: Log): HostFencingObserver & EarlierStartsObserver {
  return {
    fenceCommandUnusable: (reason) =>
      log.error(
        `The program that fences hosts cannot be run: ${reason}. Until that is mended hosts that are not heard of keep ` +
          "their locks, but for 'virtlockd cluster fence HOST'",
      ),
    fencingBegun: (host, reason) =>
      log.warn(
        `Nothing is heard of host '${host}', and ${reason}: it is condemned, and fenced if it does not object`,
      ),
    fencingWaits: (host, reason) => log.warn(`Host '${host}' is not fenced yet: ${reason}`),
    fencingFailed: (host, reason, pauseMs) =>
      log.error(
        `Host '${host}' is not fenced, and its locks stay: ${reason}. It is tried again in ${
          pauseMs / 1000
        } s. Make sure ` +
          `that it is off and stays off, then free its locks: virtlockd cluster fence ${shellOperand(host)}`,
      ),
    fencingOver: (host, reason) => log.warn(`Host '${host}' is not fenced: ${reason}`),
    fencingDone: (host, command, freed) =>
      log.warn(`Host '${host}' is fenced: ${command} has said so. ${counted(freed, "lock")} of it freed`),
    earlierStartFenced: (session, boot, locks) =>
      log.warn(
        `This host was started again, so the guests of its start before are gone: session ${session} (boot ${boot}) is ` +
          `fenced by the host itself, and ${counted(locks, "lock")} of it free`,
      ),
    earlierStartKept: ({ session, boot, locks, reason }) =>
      log.error(
        `An earlier start of this host (boot ${boot}) has ${
          counted(locks, "lock")
        } in etcd, which stay, because it is not ` +
          `certain that its guests are gone: ${reason}. When they are, free them: ` +
          `virtlockd cluster fence ${shellQuoted(session)}`,
      ),
  };
}
