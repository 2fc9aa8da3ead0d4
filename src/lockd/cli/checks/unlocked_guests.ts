import { shellOperand } from "../../../base/shell_quoted.ts";
import type { LockEntry } from "../../status/status_document.ts";
import { diskLockName } from "../guests/disk_name.ts";
import { lockedPaths } from "../guests/domain.ts";
import { readRunningGuests, type RunningGuest } from "../guests/running_guests.ts";
import { type Check, type Finding, lasting, ok, type Patient, problem, warning } from "./check.ts";
import { type LockdConfig, readLockdConfig } from "./libvirt_config.ts";

/** Whether the guests that run have their disks locked. */
export const unlockedGuests: Check = {
  name: "guests",
  run(patient) {
    const { guests, unknown } = readRunningGuests(patient.host);
    const findings: Finding[] = unknown.map((reason) =>
      warning(`Which disks a guest uses is not known: ${reason}`, "Run this as the user whose libvirtd it is")
    );
    if (guests.length === 0) return findings;
    const names = guests.map(({ name }) => `'${name}'`).join(", ");
    if (patient.daemon.kind !== "answers") {
      findings.push(
        warning(
          `Guests run, but no daemon tells which locks they have: ${names}`,
          "See what is said of the daemon above",
        ),
      );
      return findings;
    }
    const lost = lasting(patient, ({ locks }) => unlocked(patient, locks));
    if (lost.length > 0) findings.push(...lost);
    else findings.push(ok(`The guests that run have their disks locked: ${names}`));
    return findings;
  },
};

function unlocked({ host }: Patient, locks: readonly LockEntry[]): Finding[] {
  const config = readLockdConfig(host);
  return readRunningGuests(host).guests.flatMap((guest) => inspect(guest, locks, config));
}

function inspect(
  guest: RunningGuest,
  locks: readonly LockEntry[],
  { autoDiskLeases, directories }: LockdConfig,
): Finding[] {
  const paths = lockedPaths([guest]);
  if (!guest.lockable || paths.length + guest.leases.length === 0) return [];
  const own = locks.filter(({ holders }) => holders.some(({ pid }) => pid === guest.pid));
  const who = `Guest '${guest.name}' (process ${guest.pid})`;
  if (own.length === 0) {
    return [
      problem(
        `${who} runs without any lock`,
        `With lock_manager set and libvirtd restarted since, these take them, as a restart of the guest does: ` +
          `virsh suspend ${shellOperand(guest.name)}; virsh resume ${shellOperand(guest.name)}`,
      ),
    ];
  }
  const restart = "Shut the guest down and start it again; until then let no other guest use what is named";
  const isHeld = (name: string) => own.some(({ resource }) => resource === name);
  const isLease = ({ lockspace, resource }: LockEntry) =>
    guest.leases.some(({ directory, key }) => lockspace === directory && resource === key);
  const leases = guest.leases.filter((lease) =>
    !own.some(({ lockspace, resource }) => lockspace === lease.directory && resource === lease.key)
  ).map(({ directory, key }) =>
    problem(`${who} has the lease ${directory}/${key} without a lock on it`, restart)
  );
  if (!autoDiskLeases) return leases;
  const bare = paths.filter((path) => !isHeld(path) && !isHeld(diskLockName(path)));
  // The name of a volume that is locked by its LVM or SCSI identity cannot be told here, only that there is
  // one for each.
  const identities = [directories.get("lvm_lockspace_dir"), directories.get("scsi_lockspace_dir")];
  const named = own.filter((lock) => identities.includes(lock.lockspace) && !isLease(lock));
  const devices = bare.filter((path) => path.startsWith("/dev/"));
  const suspects = devices.length <= named.length ? bare.filter((path) => !devices.includes(path)) : bare;
  return [
    ...leases,
    ...suspects.map((path) => problem(`${who} may write ${path} without a lock on it`, restart)),
  ];
}
