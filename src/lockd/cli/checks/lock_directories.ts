import { readDefinedGuests } from "../guests/defined_guests.ts";
import type { Lease } from "../guests/domain.ts";
import { readRunningGuests } from "../guests/running_guests.ts";
import { type Check, type Finding, ok, type Patient, problem, warning } from "./check.ts";
import { readLockdConfig } from "./libvirt_config.ts";

/** How many lock directories a daemon names at most. */
const MOST_NAMED = 1000;
/** PID files of the daemons of libvirt's that register lock directories when they start. */
const LIBVIRT_PID_FILES = ["/run/libvirtd.pid", "/run/virtqemud.pid"];

/** Whether the lock directories that libvirt asks for are there, known to the daemon, and can be written. */
export const lockDirectories: Check = {
  name: "lock directories",
  run: (patient) => [
    ...lockDirectoryPaths(patient).flatMap((path) => inspect(patient, path)),
    ...leases(patient).flatMap(({ guest, lease }) => inspectLease(patient, guest, lease)),
  ],
};

/** Directories of lock files: those that are configured, and those in use. */
export function lockDirectoryPaths({ host, daemon }: Patient): string[] {
  const used = daemon.kind === "answers" ? daemon.locks.map(({ lockspace }) => lockspace) : [];
  const all = new Set([...readLockdConfig(host).directories.values(), ...used]);
  return [...all].filter((path) => path !== "").sort();
}

function inspect(patient: Patient, path: string): Finding[] {
  const { host } = patient;
  // What is to be said of that is said of its storage.
  if (!host.answers(path)) return [];
  const kind = host.kind(path);
  if (kind === undefined) return [missing(patient, path)];
  if (kind !== "directory") {
    return [
      problem(
        `${path} is configured as a lock directory, but is none`,
        "Name a directory in qemu-lockd.conf, and restart libvirtd",
      ),
    ];
  }
  if (!host.writable(path)) {
    return [
      problem(
        `Lock directory ${path} cannot be written: guests that need a lock in it will not start`,
        "See to its permissions, and that its file system is mounted read-write",
      ),
    ];
  }
  return [isRegistered(patient, path) ? ok(`Lock directory ${path} can be written`) : unregistered(path)];
}

function missing({ host }: Patient, path: string): Finding {
  const mount = "if it was to be a mounted file system, mount that first";
  if (LIBVIRT_PID_FILES.some((file) => host.read(file) !== undefined)) {
    return problem(
      `Lock directory ${path} is not there: guests that need a lock in it will not start`,
      `Restart libvirtd, which makes it; ${mount}`,
    );
  }
  return warning(`Lock directory ${path} is not there`, `It is made when libvirtd starts; ${mount}`);
}

/** Whether the daemon knows a lock directory; taken to be so where it does not tell. */
function isRegistered({ daemon }: Patient, path: string): boolean {
  const named = daemon.kind === "answers" ? daemon.status.lockspaces : undefined;
  return named === undefined || named.length >= MOST_NAMED || named.includes(path);
}

function unregistered(path: string): Finding {
  return problem(
    `The daemon does not know the lock directory ${path}: guests that need a lock in it are told that it does not exist`,
    "Restart libvirtd, which registers it; it does so only when it starts, so again after virtlockd was stopped",
  );
}

/** The leases of all guests, each once. */
function leases({ host }: Patient): { guest: string; lease: Lease }[] {
  const all = new Map<string, { guest: string; lease: Lease }>();
  for (const { name, leases } of [...readDefinedGuests(host), ...readRunningGuests(host).guests]) {
    for (const lease of leases) all.set(`${lease.directory}/${lease.key}`, { guest: name, lease });
  }
  return [...all.values()];
}

/** libvirt makes neither the directory of a lease nor its file, and registers none but its own three. */
function inspectLease(patient: Patient, guest: string, { directory, key }: Lease): Finding[] {
  const { host } = patient;
  if (!host.answers(directory)) return [];
  const what = `Guest '${guest}' has the lease ${directory}/${key} and will not start`;
  if (host.kind(directory) !== "directory") {
    return [
      problem(
        `${what}: there is no directory ${directory}`,
        "Make it, mode 0700, or mount what should be there",
      ),
    ];
  }
  if (host.identity(`${directory}/${key}`) === "none") {
    return [problem(`${what}: that file is not there`, `Make it: touch ${directory}/${key}`)];
  }
  if (isRegistered(patient, directory)) return [];
  if ([...readLockdConfig(host).directories.values()].includes(directory)) return [];
  return [
    problem(
      `${what}: the daemon does not know the lock directory ${directory}`,
      "Name it in qemu-lockd.conf (file_lockspace_dir, lvm_lockspace_dir or scsi_lockspace_dir) and restart libvirtd",
    ),
  ];
}
