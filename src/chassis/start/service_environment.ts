import { F_GETFD, FD_CLOEXEC, SO_ACCEPTCONN } from "../../os/constants.ts";
import { parentOf } from "../../os/process_state.ts";
import type { Sys } from "../../os/sys.ts";
import { LISTEN_FDS_START, readActivation } from "../systemd/activation.ts";
import { ownService, SYSTEMD_NOTIFY } from "../systemd/unit.ts";
import { type FailedStart, failService } from "./failed_service.ts";
import { type SelfImage, variable, withVariables } from "./self.ts";
import { ExitCode, StartError } from "./start_error.ts";

// systemd lets the environment files and Environment= lines of a unit go before its own variables, so that
// what looks like systemd's word may be an administrator's mistake.

/** The environment of a process, and what was wrong with it. */
interface ServiceEnvironment {
  /** `NAME=value`, with what systemd has said in the place of what others have. */
  readonly env: readonly string[];
  /** What was put right, for people; empty where nothing was wrong. */
  readonly complaints: readonly string[];
}

type EnvironmentSys = Pick<
  Sys,
  "open" | "read" | "close" | "access" | "fcntl" | "socketOption" | "pid"
>;

/** How a program was started, and what was wrong with that. */
export interface ToldImage {
  readonly self: SelfImage;
  readonly complaints: readonly string[];
}

/**
 * What this process was started as, with the environment that systemd has given it.
 *
 * @param handover whether an earlier image hands over: its descriptors are named in its state
 * @param failed what a start that fails would cost
 * @throws StartError when systemd has handed over descriptors of which nobody knows what they are; whoever
 *   waits has been kept waiting
 */
export function toldImage(sys: Sys, image: SelfImage, handover: boolean, failed: FailedStart): ToldImage {
  const { daemon } = failed;
  const notified = trueNotifySocket(sys, daemon, image.env);
  if (handover) return { self: { ...image, env: notified.env }, complaints: notified.complaints };
  try {
    const { env, complaints } = trueActivation(sys, daemon, notified.env);
    return { self: { ...image, env }, complaints: [...notified.complaints, ...complaints] };
  } catch (error) {
    const notifySocket = variable(notified.env, "NOTIFY_SOCKET");
    throw failService({ sys, notifySocket, sockets: [] }, failed, error);
  }
}

/**
 * Whether this process is the one that systemd has started for a daemon's unit, by what the kernel says. The
 * host's systemd; not that of a user's session.
 */
function isServiceProcess(sys: EnvironmentSys, daemon: string): boolean {
  return parentOf(sys) === 1 &&
    ownService(sys) === `${daemon}.service`;
}

/** Where messages to systemd go, although the environment of a service names another place. */
function trueNotifySocket(
  sys: EnvironmentSys,
  daemon: string,
  env: readonly string[],
): ServiceEnvironment {
  const named = variable(env, "NOTIFY_SOCKET");
  const wrong = named !== undefined && named !== SYSTEMD_NOTIFY && sys.access(SYSTEMD_NOTIFY, 0) === 0 &&
    isServiceProcess(sys, daemon);
  if (!wrong) return { env, complaints: [] };
  return {
    env: withVariables(env, { NOTIFY_SOCKET: SYSTEMD_NOTIFY }),
    complaints: [
      `NOTIFY_SOCKET is '${named}', where systemd would never hear that the daemon is ready; ` +
      `it is told at ${SYSTEMD_NOTIFY}. ${removal(daemon, "NOTIFY_SOCKET")}`,
    ],
  };
}

/**
 * Which descriptors systemd has handed over, although the environment of a service says something else. For a
 * process that systemd has started, not for a later image of it.
 *
 * @throws StartError when there are some of which nobody knows what they are
 */
function trueActivation(
  sys: EnvironmentSys,
  daemon: string,
  env: readonly string[],
): ServiceEnvironment {
  const names = (variable(env, "LISTEN_FDNAMES") ?? "").split(":");
  const claimed = readActivation((name) => variable(env, name), sys.pid()).descriptors.length;
  const fits = (claimed === 0 || names.length === claimed) && mayBeAll(sys, claimed);
  if (fits || !isServiceProcess(sys, daemon)) return { env, complaints: [] };
  const named = mayBeAll(sys, names.length);
  const inherited = inheritedDescriptors(sys);
  if (!named && !inherited.every((fd) => sys.socketOption(fd, SO_ACCEPTCONN) === 1)) {
    throw new StartError(
      ExitCode.INITIALISATION,
      `${
        said(env)
      }, but systemd has handed over something else, and nobody knows what it is. systemd keeps it. ` +
        removal(daemon, "LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES"),
    );
  }
  const count = named ? names.length : inherited.length;
  return {
    env: withVariables(env, {
      LISTEN_PID: String(sys.pid()),
      LISTEN_FDS: String(count),
      // Listening sockets are known by their paths too.
      ...(named ? {} : { LISTEN_FDNAMES: "" }),
    }),
    complaints: [
      `${said(env)}, but systemd has handed over ${count} descriptors, which are used. ` +
      removal(daemon, "LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES"),
    ],
  };
}

/**
 * Whether so many descriptors may be all that systemd has handed over. One that is no socket may follow them:
 * a shell leaves the file of the program open behind ten or more (dash 0.5.12). What systemd stores beside
 * its sockets is more than one, or none.
 */
function mayBeAll(sys: Pick<Sys, "fcntl" | "socketOption">, count: number): boolean {
  const next = LISTEN_FDS_START + count;
  if (count > 0 && !isInherited(sys, next - 1)) return false;
  return !isInherited(sys, next) ||
    !isInherited(sys, next + 1) && sys.socketOption(next, SO_ACCEPTCONN) !== 1;
}

/** Descriptors that whoever started this process has left open for it, from systemd's first one on. */
function inheritedDescriptors(sys: Pick<Sys, "fcntl">): number[] {
  const found: number[] = [];
  for (let fd = LISTEN_FDS_START; isInherited(sys, fd); fd++) found.push(fd);
  return found;
}

/** The runtime's own are all closed when another program is executed. */
function isInherited({ fcntl }: Pick<Sys, "fcntl">, fd: number): boolean {
  const flags = fcntl(fd, F_GETFD, 0);
  return flags >= 0 && (flags & FD_CLOEXEC) === 0;
}

/** Characters of a variable that are shown: there may be tens of thousands of names. */
const SHOWN = 100;

/** What the environment says of descriptors. */
function said(env: readonly string[]): string {
  const set = env.filter((entry) => /^LISTEN_(PID|FDS|FDNAMES)=/.test(entry))
    .map((entry) => entry.length > SHOWN ? `${entry.slice(0, SHOWN)}...` : entry);
  return set.length === 0 ? "The environment names no descriptors" : `The environment says ${set.join(", ")}`;
}

function removal(daemon: string, what: string): string {
  return `Remove ${what} from /etc/default/${daemon}, /etc/sysconfig/${daemon} and the drop-ins of ${daemon}.service`;
}
