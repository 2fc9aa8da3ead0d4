import { type Check, type Finding, ok, type Patient, problem } from "./check.ts";
import { readDefinedGuests } from "../guests/defined_guests.ts";
import { lockedPaths } from "../guests/domain.ts";
import { readRunningGuests } from "../guests/running_guests.ts";
import { lockDirectoryPaths } from "./lock_directories.ts";
import { locksStayLocal, type Mount, mountOf, readMounts } from "./mounts.ts";

/** Whether locks on network storage reach the server. */
export const networkLocks: Check = {
  name: "network storage",
  run(patient) {
    const mounts = readMounts(patient.host);
    const nfs = new Map<Mount, string[]>();
    for (const path of pathsWithLocks(patient)) {
      const mount = mountOf(mounts, path);
      if (mount?.type.startsWith("nfs") !== true) continue;
      const paths = nfs.get(mount);
      if (paths === undefined) nfs.set(mount, [path]);
      else paths.push(path);
    }
    return [...nfs].map(([mount, paths]) => inspect(mount, paths));
  },
};

/** Every path that is, or will be, locked. */
function pathsWithLocks(patient: Patient): Set<string> {
  const { host, daemon } = patient;
  return new Set([
    ...lockDirectoryPaths(patient),
    ...lockedPaths([...readDefinedGuests(host), ...readRunningGuests(host).guests]),
    ...daemon.kind === "answers" ? daemon.locks.map(({ path }) => path) : [],
  ]);
}

function inspect(mount: Mount, paths: readonly string[]): Finding {
  const [first = ""] = paths;
  const what = paths.length === 1 ? first : `${first} and ${paths.length - 1} more`;
  if (!locksStayLocal(mount)) return ok(`Locks on ${mount.point} reach ${mount.source}: ${what}`);
  return problem(
    `${mount.source} is mounted at ${mount.point} with nolock or local_lock: no other host sees the locks on ${what}`,
    "Mount it without nolock and with local_lock=none, while no guest uses it",
  );
}
