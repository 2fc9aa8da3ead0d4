import type { LockEntry } from "../../status/status_document.ts";
import { type Check, type Finding, ok, problem, warning } from "./check.ts";
import { type LockdConfig, readLockdConfig } from "./libvirt_config.ts";
import { readRunningGuests, type RunningGuest } from "./running_guests.ts";

/** Whether the guests that run have their disks locked. */
export const unlockedGuests: Check = {
  name: "guests",
  async run({ host, daemon }) {
    const guests = readRunningGuests(host);
    if (guests.length === 0) return [];
    if (daemon.kind !== "answers") {
      return [
        warning(
          `${guests.length} guests run, but no daemon tells which locks they have`,
          "Ask again when one answers",
        ),
      ];
    }
    const lockd = readLockdConfig(host);
    const findings = await Promise.all(guests.map((guest) => inspect(guest, daemon.locks, lockd)));
    const bad = findings.flat();
    return bad.length > 0 ? bad : [ok(`All ${guests.length} guests that run have their disks locked`)];
  },
};

async function inspect(
  guest: RunningGuest,
  locks: readonly LockEntry[],
  { autoDiskLeases, directories }: LockdConfig,
): Promise<Finding[]> {
  // Suspending a guest gives its locks up, so that it can be moved to another host.
  if (guest.paused || guest.disks.length === 0) return [];
  const own = locks.filter(({ holders }) => holders.some(({ pid }) => pid === guest.pid));
  const who = `Guest '${guest.name}' (process ${guest.pid})`;
  if (own.length === 0) {
    return [
      problem(
        `${who} runs without any lock`,
        "It was started before the lock manager was set up, or its daemon has lost the lock: shut it down and start it again",
      ),
    ];
  }
  if (!autoDiskLeases) return [];
  const names = new Set(own.map(({ resource }) => resource));
  // Of a volume that is locked by its LVM or SCSI identity the name cannot be told here.
  const byIdentity = directories.has("lvm_lockspace_dir") || directories.has("scsi_lockspace_dir");
  const findings: Finding[] = [];
  for (const path of guest.disks) {
    if (names.has(path) || (byIdentity && path.startsWith("/dev/"))) continue;
    if (names.has(await sha256(path))) continue;
    findings.push(
      problem(`${who} may write ${path} without a lock on it`, "Shut the guest down and start it again"),
    );
  }
  return findings;
}

/** Names of lock files are hashes of the disks' paths. */
async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}
