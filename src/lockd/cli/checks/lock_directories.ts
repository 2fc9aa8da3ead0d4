import { type Check, type Finding, ok, type Patient, problem, warning } from "./check.ts";
import { readLockdConfig } from "./libvirt_config.ts";

/** Whether the lock directories are there, and can be written. */
export const lockDirectories: Check = {
  name: "lock directories",
  run: (patient) => lockDirectoryPaths(patient).map((path) => inspect(patient, path)),
};

/** Directories of lock files: those that are configured, and those in use. */
export function lockDirectoryPaths({ host, daemon }: Patient): string[] {
  const used = daemon.kind === "answers" ? daemon.locks.map(({ lockspace }) => lockspace) : [];
  const all = new Set([...readLockdConfig(host).directories.values(), ...used]);
  return [...all].filter((path) => path !== "").sort();
}

function inspect({ host }: Patient, path: string): Finding {
  const kind = host.kind(path);
  if (kind === undefined) {
    return warning(
      `Lock directory ${path} is not there`,
      "It is made when libvirtd starts; if it was to be a mounted file system, mount that and restart libvirtd",
    );
  }
  if (kind !== "directory") {
    return problem(
      `${path} is configured as a lock directory, but is none`,
      "Name a directory in qemu-lockd.conf",
    );
  }
  if (!host.writable(path)) {
    return problem(
      `Lock directory ${path} cannot be written: guests that need a lock in it will not start`,
      "See to its permissions, and that its file system is mounted read-write",
    );
  }
  return ok(`Lock directory ${path} can be written`);
}
