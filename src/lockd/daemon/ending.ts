import { F_UNLCK } from "../../os/constants.ts";
import type { ProgramResult } from "../../os/program_result.ts";
import { LOCK_LENGTH, LOCK_START } from "../lockspace/lock_file.ts";
import { isMissing } from "../lockspace/lock_record.ts";
import type { Daemon } from "./daemon.ts";
import { type Asker, askSystemctl } from "./systemctl.ts";

/** systemctl answers in 20 ms; the service may take much longer to stop. */
const ASK_LIMIT_MS = 5000;

/** etcd answers in some milliseconds, or is away. */
const RETIRE_LIMIT_MS = 2000;

/** What an orderly end of the daemon means for its locks. */
export type Ending =
  /** They end with the process: nobody keeps copies of them, or those who do are about to drop them. */
  | "given-up"
  /** The same, but the journal's file stays, and the next daemon takes them again. */
  | "left"
  /** The service is started again, and has them then. */
  | "restarted"
  /** Nobody has told systemd to end it: a signal by hand, or virt-admin. It is to be started again. */
  | "unasked"
  /** There are copies, and nothing tells whether they are still wanted. */
  | "unsure";

/**
 * Learns from systemd what a daemon that was asked to end is ended for. A stop drops the copies that systemd
 * keeps, unless the unit says otherwise; a restart does not.
 *
 * @param unit the service; undefined when the manager is not systemd or nobody keeps copies
 * @param copies "kept" when anybody does; "dropped" when systemd should and does not
 */
export function learnEnding(
  daemon: Asker,
  env: readonly string[],
  unit: string | undefined,
  copies: () => "kept" | "dropped" | "none",
): Ending {
  if (copies() === "none") return "given-up";
  if (copies() === "dropped") return "left";
  if (unit === undefined) return "unsure";
  const list = () => ask(daemon, env, ["list-jobs", "--plain", "--no-legend", unit]);
  // A signal that 'systemctl kill' sends to every process of the service may have reached systemctl too.
  const jobs = list() ?? list();
  const types = jobs?.split("\n").map((line) => line.trim().split(/\s+/)).filter(([, name]) => name === unit)
    .map(([, , type]) => type);
  // What systemd has dropped before it asked for this end is noticed by now.
  if (copies() === "dropped") return "left";
  if (types?.includes("restart") === true) return "restarted";
  if (types === undefined) return "unsure";
  if (!types.includes("stop")) return "unasked";
  // Before 254 there is no such property, and a stop always drops them.
  const preserve = ask(daemon, env, ["show", "--value", "--property=FileDescriptorStorePreserve", unit]);
  return preserve === undefined || preserve.trim() === "yes" ? "unsure" : "given-up";
}

/** @returns what systemctl prints; undefined when it fails */
function ask(daemon: Asker, env: readonly string[], args: readonly string[]): string | undefined {
  let result: ProgramResult | undefined;
  askSystemctl(daemon, env, args, ASK_LIMIT_MS, (ended) => void (result = ended));
  while (result === undefined) daemon.loop.turn(-1);
  return result.kind === "ended" && result.code === 0 ? result.output : undefined;
}

/** Tells the other hosts of the cluster that guests may run on, without waiting long for it. */
export function retire({ cluster, loop }: Pick<Daemon, "cluster" | "loop">): void {
  if (cluster === undefined) return;
  let told = false;
  const timer = loop.after(RETIRE_LIMIT_MS, () => void (told = true));
  cluster.retire(() => void (told = true));
  while (!told) loop.turn(-1);
  timer.cancel();
}

/**
 * Unlocks what this daemon has, without closing, unlinking or forgetting anything: on some file systems
 * (FUSE) a description's lock outlives its last descriptor, and the next daemon would be told that another
 * host has it. To be called when the locks are given up.
 */
export function unlockAll(daemon: Daemon): void {
  const { sys, loop, table, storage, log } = daemon;
  let left = 0;
  for (const resource of table.resources()) {
    const { path, name, handle, state } = resource;
    // One that is being released is unlocked by whoever does that, and one that is missing is not held.
    if (handle.kind === "none" || state.kind === "releasing" || isMissing(state)) continue;
    const { fd, identity, lock } = handle;
    // A POSIX lock does go with the process.
    if (lock === "posix") continue;
    if (!storage.mayHang(path, identity)) {
      sys.ofdLock(fd, F_UNLCK, LOCK_START, LOCK_LENGTH);
      continue;
    }
    left++;
    storage.setLock(path, identity, fd, F_UNLCK, (trouble) => {
      left--;
      if (trouble === undefined) return;
      log.error(
        `The lock on '${name}' could not be given up (${trouble.reason}): on a FUSE file system it may stay until that is unmounted`,
      );
    });
  }
  while (left > 0) loop.turn(-1);
}
