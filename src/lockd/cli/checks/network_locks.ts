import { readDefinedGuests } from "../guests/defined_guests.ts";
import { lockedPaths } from "../guests/domain.ts";
import { readRunningGuests } from "../guests/running_guests.ts";
import { type Check, type Finding, ok, type Patient, problem, warning } from "./check.ts";
import { lockDirectoryPaths } from "./lock_directories.ts";
import { type LockReach, lockReach, type Mount, mountOf, readMounts } from "./mounts.ts";

/** Whether locks on network storage reach the other hosts that use it. */
export const networkLocks: Check = {
  name: "network storage",
  run(patient) {
    const mounts = readMounts(patient.host);
    const shared = new Map<Mount, { reach: LockReach; paths: string[] }>();
    for (const path of pathsWithLocks(patient)) {
      const mount = mountOf(mounts, path);
      const known = mount && shared.get(mount);
      if (known !== undefined) known.paths.push(path);
      else {
        const reach = mount && lockReach(mount);
        if (mount !== undefined && reach !== undefined) shared.set(mount, { reach, paths: [path] });
      }
    }
    return [...shared].map(([mount, { reach, paths }]) => inspect(mount, reach, paths));
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

function inspect({ point, source }: Mount, reach: LockReach, paths: readonly string[]): Finding {
  const [first = ""] = paths;
  const what = paths.length === 1 ? first : `${first} and ${paths.length - 1} more`;
  switch (reach.kind) {
    case "everywhere":
      return ok(`Locks on ${point} reach ${source}: ${what}`);
    case "here":
      return problem(
        `${source} is mounted at ${point} ${reach.why}: no other host sees the locks on ${what}`,
        reach.advice,
      );
    case "unknown":
      return warning(
        `Locks on ${what} may not reach the other hosts that use ${source}: ${point} is ${reach.why}`,
        "Try it as the operating guide says (Storage); if they do not reach them, let no other host use these guests",
      );
  }
}
