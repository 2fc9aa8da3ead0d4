import {
  daemonOfPidFile,
  type DaemonProcess,
  daemonProcesses,
  ofOneHost,
} from "../guests/daemon_processes.ts";
import type { Host } from "../guests/host.ts";
import { type Check, type DaemonView, type Finding, ok, type Patient, problem, warning } from "./check.ts";

/** Whether a daemon answers, and whether it is the one that should. */
export const daemonRuns: Check = {
  name: "daemon",
  run(patient) {
    return [answer(patient), ...otherDaemons(patient)];
  },
};

function answer(patient: Patient): Finding {
  const { daemon, version, host } = patient;
  switch (daemon.kind) {
    case "unreachable": {
      // An ordinary user's runs only when a guest needs it.
      const isMissed = host.isRoots || daemon.obstacle !== "absent" || daemonOfPidFile(host) !== undefined;
      return (isMissed ? problem : warning)(daemon.reason, unreachable(patient, daemon));
    }
    case "foreign":
      return warning(
        daemon.reason,
        "To hand its locks to this program, put this into the place of its executable, then run: virtlockd reload",
      );
    case "answers": {
      const { status } = daemon;
      if (status.version !== version) {
        return warning(
          `Version ${status.version} runs, version ${version} is installed`,
          `Execute the installed one; no lock is lost: ${
            host.isRoots ? "systemctl reload virtlockd" : "virtlockd reload"
          }`,
        );
      }
      const written = Number(host.read(host.places.pidFile) ?? NaN);
      if (!Number.isNaN(written) && written !== status.pid) {
        return warning(
          `The PID file ${host.places.pidFile} names process ${written}, but process ${status.pid} answers`,
          "Find out which of them libvirt uses, and stop the other",
        );
      }
      return ok(`Version ${status.version} answers, process ${status.pid}`);
    }
  }
}

/** What to do about a daemon that cannot be asked. Starting one is right only where none runs. */
function unreachable({ host }: Patient, { obstacle }: DaemonView & { kind: "unreachable" }): string {
  const process = daemonOfPidFile(host);
  switch (obstacle) {
    case "absent":
      // systemd removes the socket when its unit is stopped.
      if (process === undefined) return howToStart(host);
      return `Process ${process.pid} is a virtlockd and may hold locks: start no other one and do not stop it. ` +
        "It listens anew by itself where its socket was removed, so ask again in a few seconds; else: virtlockd reload";
    case "silent": {
      if (process !== undefined) return hanging(process, host);
      const [starting] = daemonProcesses(host);
      return starting === undefined
        ? `No daemon runs, though its socket is there: it does not start. ${why(host)}`
        : hangingInStart(starting);
    }
    case "closed":
      return `It does not start, or has just ended. ${why(host)}`;
    case "denied":
      return "Ask as the user whose daemon it is: for the host's that is root";
    case "odd":
      return "See which program has this socket (ss -xlp) and that --connect names the admin socket of virtlockd";
  }
}

function howToStart(host: Host): string {
  if (!host.isRoots) {
    return "Nothing, if no guest of qemu:///session runs: your libvirtd starts it when a guest needs it, from the " +
      "directory in VIRTLOCKD_PATH or from /usr/sbin; by hand: virtlockd -d. The host's own is for root to look at: " +
      "virtlockd doctor as root";
  }
  if (host.kind("/run/systemd/system") === undefined) {
    return "Start it: virtlockd -d; without it no guest with a lock manager starts";
  }
  const { socket } = host.places;
  if (host.isAbandoned(socket)) {
    return `No guest can start it either, for nobody listens at ${socket}, which was replaced while a daemon ran: ` +
      "systemctl restart virtlockd.socket virtlockd-admin.socket";
  }
  return host.kind(socket)
    ? "Guests can start it, but nobody listens for commands: systemctl start virtlockd-admin.socket"
    : "Start it: systemctl start virtlockd.socket virtlockd-admin.socket; without it no guest with a lock manager starts";
}

/** Where the reason is why it does not start. */
function why(host: Host): string {
  return host.isRoots && host.kind("/run/systemd/system") !== undefined
    ? "The reason is in: systemctl status virtlockd.service; journalctl -u virtlockd -n 50"
    : "Run it in the foreground, which tells the reason: virtlockd";
}

/** It has no PID file yet: it reads its configuration, or takes back what systemd keeps for it. */
function hangingInStart({ pid, state }: DaemonProcess): string {
  const where = state === "D" || state === "S" || state === "R"
    ? `cat /proc/${pid}/stack and ls -l /proc/${pid}/fd tell what it waits for`
    : `it was stopped by a signal or a debugger: kill -CONT ${pid}`;
  return `Process ${pid} has begun to start and does not come to its end: ${where}. Locks that systemd keeps stay there ` +
    "until it has; most likely its configuration is on storage that does not answer";
}

/** A daemon that runs and does not answer holds its locks: starting another one is no help, nor is a stop. */
function hanging({ pid, state }: DaemonProcess, host: Host): string {
  switch (state) {
    case "T":
    case "t":
      return `Process ${pid} was stopped by a signal or a debugger and still holds its locks: kill -CONT ${pid}`;
    case "D":
      return `Process ${pid} waits in the kernel, most likely for storage, and still holds its locks: ` +
        `cat /proc/${pid}/stack tells for what; it goes on when that answers`;
    default:
      if (!host.isRoots) {
        return `Process ${pid} runs and still holds its locks: shut your guests down before you end it`;
      }
      return `Process ${pid} runs and still holds its locks, so do not stop it. Under systemd, when systemctl show ` +
        "virtlockd -p NFileDescriptorStore is above 0, systemctl kill --signal=KILL virtlockd is safe: the next one " +
        "takes all locks over. Elsewhere shut the guests down first";
  }
}

/**
 * Other processes that are a virtlockd of the same host: guests may ask them for locks that this one does not
 * know of.
 */
function otherDaemons({ daemon, host }: Patient): Finding[] {
  if (daemon.kind !== "answers") return [];
  const { pid } = daemon.status;
  const all = daemonProcesses(host);
  const owner = all.find((one) => one.pid === pid)?.uid;
  return all.filter((one) => one.pid !== pid && one.uid === owner && ofOneHost(host, one.pid, pid)).map((
    one,
  ) =>
    warning(
      `Another virtlockd runs, process ${one.pid}`,
      `Stop it when no guest uses it (ls -l /proc/${one.pid}/fd shows its locks): each knows its own locks only`,
    )
  );
}
