import { type Check, type Finding, ok, type Patient, problem, warning } from "./check.ts";
import { readLockdConfig } from "./libvirt_config.ts";
import { mountOf, readMounts } from "./mounts.ts";
import type { LockspaceEntry } from "../../status/status_document.ts";

/** How many lock directories a daemon names at most. */
const MOST_NAMED = 1000;
/** PID files of the daemons of libvirt's that register lock directories when they start. */
const LIBVIRT_PID_FILES = ["/run/libvirtd.pid", "/run/virtqemud.pid"];

/** Whether the lock directories that libvirt asks for are there, known to the daemon, and can be written. */
export const lockDirectories: Check = {
  name: "lock directories",
  run: (patient) => lockDirectoryPaths(patient).flatMap((path) => inspect(patient, path)),
};

/** Directories of lock files: those that are configured, and those in use. */
export function lockDirectoryPaths({ host, daemon }: Patient): string[] {
  const used = daemon.kind === "answers" ? daemon.locks.map(({ lockspace }) => lockspace) : [];
  const all = new Set([...readLockdConfig(host).directories.values(), ...used]);
  return [...all].filter((path) => path !== "").sort();
}

/** What the daemon knows of a lock directory; "unsaid" where it does not tell which it knows. */
export function lockspaceOf({ daemon }: Patient, path: string): LockspaceEntry | "unsaid" | undefined {
  const named = daemon.kind === "answers" ? daemon.status.lockspaces : undefined;
  if (named === undefined) return "unsaid";
  const known = named.find((lockspace) => lockspace.path === path);
  return known ?? (named.length >= MOST_NAMED ? "unsaid" : undefined);
}

/**
 * The file system that a lock directory has to be on, where that is not mounted: then the daemon refuses
 * every lock there.
 */
export function missingMount(
  { host }: Patient,
  known: LockspaceEntry | "unsaid" | undefined,
): string | undefined {
  if (known === undefined || known === "unsaid" || known.mount === undefined) return undefined;
  const { source, type, point } = known.mount;
  const mounts = readMounts(host);
  if (mountOf(mounts, known.path)?.source === source) return undefined;
  const isThere = mounts.some((mount) => mount.source === source && mount.point === point);
  return isThere ? undefined : `${source} (${type}) at ${point}`;
}

function inspect(patient: Patient, path: string): Finding[] {
  const { host } = patient;
  // What is to be said of that is said of its storage.
  if (!host.answers(path)) return [];
  const known = lockspaceOf(patient, path);
  const mount = missingMount(patient, known);
  if (mount !== undefined) {
    return [
      problem(
        `Lock directory ${path} belongs on ${mount}, which is not mounted: no guest gets a lock in it`,
        "Mount that; on another file system no other host would see the locks",
      ),
    ];
  }
  const kind = host.kind(path);
  if (kind === undefined) return [absent(patient, path, known)];
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
  if (known !== undefined || !libvirtRuns(patient)) return [ok(`Lock directory ${path} can be written`)];
  return [
    problem(
      `libvirtd runs, but has not registered the lock directory ${path}: guests that need a lock in it will not start`,
      "Restart libvirtd, which does so only when it starts; guests that run are not touched",
    ),
  ];
}

function absent(patient: Patient, path: string, known: LockspaceEntry | "unsaid" | undefined): Finding {
  if (known !== undefined && known !== "unsaid") {
    return ok(`Lock directory ${path} is not there, and is made for the next lock in it`);
  }
  const mount = "if it was to be a mounted file system, mount that first";
  if (libvirtRuns(patient)) {
    return problem(
      `Lock directory ${path} is not there: guests that need a lock in it will not start`,
      `Restart libvirtd, which makes it; ${mount}`,
    );
  }
  return warning(`Lock directory ${path} is not there`, `It is made when libvirtd starts; ${mount}`);
}

function libvirtRuns({ host }: Patient): boolean {
  return LIBVIRT_PID_FILES.some((file) => host.read(file) !== undefined);
}
