import { shellQuoted } from "../../../base/shell_quoted.ts";
import type { Settings } from "../../identity/settings.ts";
import { readDefinedGuests } from "../guests/defined_guests.ts";
import type { Lease } from "../guests/domain.ts";
import { readRunningGuests } from "../guests/running_guests.ts";
import { type Check, type Finding, type Patient, problem } from "./check.ts";
import { readSettings } from "./configuration.ts";
import { lockspaceOf, missingMount } from "./lock_directories.ts";

/**
 * Whether guests will get the leases that they ask for: libvirt makes neither their directories nor their
 * files.
 */
export const leases: Check = {
  name: "leases",
  async run(patient) {
    const { lockspaces } = await readSettings(patient.host);
    return everyLease(patient).flatMap(({ guest, lease }) => inspect(patient, lockspaces, guest, lease));
  },
};

/** The leases of all guests, each once. */
function everyLease({ host }: Patient): { guest: string; lease: Lease }[] {
  const all = new Map<string, { guest: string; lease: Lease }>();
  for (const { name, leases } of [...readDefinedGuests(host), ...readRunningGuests(host).guests]) {
    for (const lease of leases) all.set(`${lease.directory}/${lease.key}`, { guest: name, lease });
  }
  return [...all.values()];
}

/** @param allowed directories that `lockspaces` of the configuration names */
function inspect(
  patient: Patient,
  allowed: Settings["lockspaces"],
  guest: string,
  { directory, key }: Lease,
): Finding[] {
  const { host } = patient;
  if (!host.answers(directory)) return [];
  const finding = (why: string, advice: string) => [
    problem(`Guest '${guest}' has the lease ${directory}/${key} and will not start: ${why}`, advice),
  ];
  const known = lockspaceOf(patient, directory);
  const wanted = allowed.get(directory);
  const mount = missingMount(
    patient,
    wanted === undefined
      ? known
      : { path: directory, origin: "adopted", mount: { source: wanted, type: "as set", point: directory } },
  );
  if (mount !== undefined) return finding(`${mount} is not mounted`, "Mount it");
  if (host.kind(directory) !== "directory") {
    return finding(
      `there is no directory ${directory}`,
      `Mount what should be there, or make it: mkdir -p -m 0700 ${shellQuoted(directory)}`,
    );
  }
  if (known === undefined || known === "unsaid" || known.origin === "adopted") {
    const unfit = host.unfitForLocks(directory);
    if (unfit !== undefined) {
      return finding(
        `its directory cannot be used: ${unfit}`,
        "See to owner and mode, or use another directory",
      );
    }
  }
  if (!allowed.has(directory) && host.identity(`${directory}/${key}`) === "none") {
    return finding(
      "that file is not there",
      `Make it: touch ${
        shellQuoted(`${directory}/${key}`)
      }; or name the directory in lockspaces of virtlockd.conf`,
    );
  }
  return [];
}
