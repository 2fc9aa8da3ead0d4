import { SIGINT, SIGTERM, SOCK_DGRAM } from "../../os/constants.ts";
import type { Sys } from "../../os/sys.ts";
import { encodeText } from "../../os/text.ts";
import { UsageError } from "../config/usage_error.ts";
import { isLasting, refuseWaiting } from "./failed_start.ts";
import type { StartReport } from "./launch.ts";
import { ExitCode, StartError, startFailure } from "./start_error.ts";
import { StartPause } from "./start_pause.ts";

/**
 * Longest pause before another try, in ms: where each moment counts, for the service manager keeps what only
 * a daemon that serves can guard, and elsewhere.
 */
const LONGEST_AT_STAKE = 800;
const LONGEST = 30_000;

/** A daemon that a service manager has started and that cannot serve. */
export interface Service {
  readonly sys: Sys;
  /** Address of the service manager; undefined when there is none to tell. */
  readonly notifySocket: string | undefined;
  /** Descriptors that the service manager has handed over. */
  readonly sockets: readonly number[];
}

/** What a start that failed would cost others, and where failures are counted. */
export interface FailedStart {
  /** The daemon's name. */
  readonly daemon: string;
  /** File in which failures are counted; undefined where it is not known. */
  readonly counted: string | undefined;
  /** Whether the service manager keeps something of an earlier daemon. */
  readonly atStake: boolean;
}

/** The service that a process is by its environment; undefined where nobody has started one. */
export function serviceOf(
  sys: Sys,
  env: Readonly<Record<string, string | undefined>>,
  sockets: readonly { readonly fd: number }[],
): Service | undefined {
  const notifySocket = env["NOTIFY_SOCKET"];
  return notifySocket === undefined && sockets.length === 0
    ? undefined
    : { sys, notifySocket, sockets: sockets.map(({ fd }) => fd) };
}

/**
 * Ends a start that failed: who started the daemon in the background is told, and so is a service manager.
 *
 * @param failed what the failure costs others
 * @returns exit code, when whoever waits has been told why
 * @throws what ends this process else
 */
export function endStart(
  error: unknown,
  report: StartReport,
  service: Service | undefined,
  failed: FailedStart,
): number {
  const failure = startFailure(error);
  if (failure instanceof StartError && report.awaited) {
    report.failed(failure);
    return failure.code;
  }
  throw service === undefined ? failure : failService(service, failed, failure);
}

/**
 * Does for whoever waits what is to be done when a service could not start: sends them away where only an
 * administrator can mend it and nothing is lost by that, and else keeps them waiting for the next try.
 *
 * @param failure why it could not start
 * @returns what ends this process
 */
export function failService(
  service: Service,
  { daemon, counted, atStake }: FailedStart,
  failure: unknown,
): unknown {
  if (!atStake && failure instanceof Error && isLasting(failure)) {
    const where =
      `; correct ${daemon.toUpperCase()}_ARGS in /etc/default/${daemon} or /etc/sysconfig/${daemon}`;
    return refuseForGood(service, failure instanceof UsageError ? failure.message + where : failure.message);
  }
  startAgainLater(service, counted, atStake, failure);
  return failure;
}

/**
 * A start that would fail again until somebody has mended what is wrong: whoever waits is sent away.
 *
 * @returns what ends this process: with a status after which the service manager does not try again
 */
function refuseForGood({ sys, notifySocket, sockets }: Service, reason: string): StartError {
  tell(sys, notifySocket, `Cannot start until this is mended: ${reason}`);
  const refused = refuseWaiting(sys, sockets);
  const waiting = refused === 0 ? "" : ` (connections that waited and were closed: ${refused})`;
  return new StartError(ExitCode.HOPELESS, `${reason}${waiting}`);
}

/**
 * A start that may succeed later: whoever waits goes on waiting, for a time that grows with each failure.
 *
 * @param counted file in which failures are counted
 * @param atStake whether the service manager keeps something of an earlier daemon
 */
function startAgainLater(
  { sys, notifySocket }: Service,
  counted: string | undefined,
  atStake: boolean,
  failure: unknown,
): void {
  const longest = atStake ? LONGEST_AT_STAKE : LONGEST;
  const pause = counted === undefined ? longest : new StartPause(sys, counted).failed(longest);
  const reason = failure instanceof Error ? failure.message : String(failure);
  tell(sys, notifySocket, `Cannot start yet, trying again in ${pause / 1000} s: ${reason}`);
  // Not when the process is asked to end.
  sys.unblockSignals([SIGTERM, SIGINT]);
  sys.pollReadable(-1, pause);
}

/** The manager may not be there; what it would be told is on standard error too. */
function tell(sys: Sys, address: string | undefined, status: string): void {
  if (address === undefined) return;
  const fd = sys.socket(SOCK_DGRAM, true);
  if (fd < 0) return;
  if (sys.connect(fd, address) === 0) {
    sys.sendMessage(fd, encodeText(`STATUS=${status.replaceAll("\n", " ")}`), []);
  }
  sys.close(fd);
}
