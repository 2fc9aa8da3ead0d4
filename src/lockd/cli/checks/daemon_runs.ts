import { COMMANDS } from "../../../chassis/config/options.ts";
import { type Check, type Finding, ok, type Patient, problem, warning } from "./check.ts";

/** Whether a daemon answers, and whether it is the one that should. */
export const daemonRuns: Check = {
  name: "daemon",
  run(patient) {
    return [answer(patient), ...otherDaemons(patient)];
  },
};

function answer({ daemon, version, host }: Patient): Finding {
  switch (daemon.kind) {
    case "unreachable":
      return problem(
        daemon.reason,
        "Start it: systemctl start virtlockd.socket, or virtlockd -d; without it no guest with a lock manager starts",
      );
    case "foreign":
      return warning(
        daemon.reason,
        "To hand its locks to this program, install this as its executable and send it SIGUSR1 (systemctl reload virtlockd)",
      );
    case "answers": {
      const { status } = daemon;
      if (status.version !== version) {
        return warning(
          `Version ${status.version} runs, version ${version} is installed`,
          "Execute the installed one; no lock is lost: systemctl reload virtlockd",
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

/**
 * Other processes that are a virtlockd of the same host: guests may ask them for locks that this one does not
 * know of.
 */
function otherDaemons({ daemon, host }: Patient): Finding[] {
  if (daemon.kind !== "answers") return [];
  const { pid } = daemon.status;
  const owner = processFact(host.read(`/proc/${pid}/status`), "Uid");
  // One in a container is that container's.
  const namespaces = (of: string) =>
    ["pid", "user"].map((name) => host.link(`/proc/${of}/ns/${name}`)).join();
  const own = namespaces(String(pid));
  const others = host.list("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== pid)
    .filter((name) => {
      const status = host.read(`/proc/${name}/status`);
      if (processFact(status, "Name") !== "virtlockd" || processFact(status, "Uid") !== owner) return false;
      if (namespaces(name) !== own) return false;
      const words = host.read(`/proc/${name}/cmdline`)?.split("\0") ?? [];
      return !words.some((word) => COMMANDS.some((command) => command === word));
    });
  return others.map((name) =>
    warning(
      `Another virtlockd runs, process ${name}`,
      `Stop it when no guest uses it (ls -l /proc/${name}/fd shows its locks): each knows its own locks only`,
    )
  );
}

/** A field of /proc/PID/status. */
function processFact(status: string | undefined, name: string): string | undefined {
  return new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status ?? "")?.[1];
}
