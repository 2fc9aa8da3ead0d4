import { askProgramNow } from "../../chassis/children/asked_program.ts";
import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { ownService, SYSTEMCTL, SYSTEMD_NOTIFY } from "../../chassis/systemd/unit.ts";
import { variable } from "../../chassis/start/self.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import { storeQuery } from "../../chassis/systemd/shown_store.ts";
import { readShownStore } from "../daemon/systemctl.ts";

/**
 * systemctl answers in 20 ms, and on a busy host it may take seconds. Clients wait meanwhile, and behind
 * libvirt's daemon nothing outlives a crash yet; it is asked once more when they are served.
 */
const LIMIT_MS = 1000;

/** What finding the service manager works with. */
export interface ServiceManagerParts {
  readonly sys: Sys;
  /** Turned until systemctl has answered; nothing else is watched yet. */
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  /** Environment of the process, `NAME=value`. */
  readonly env: readonly string[];
  /** Who has started this image. */
  readonly predecessor: Predecessor;
}

/** Who was there before, as far as its environment can be relied on. */
export type Predecessor =
  /** Nobody: the environment is the service manager's own. */
  | "none"
  /** An image that had descriptors stored, with room for more. */
  | "stored"
  /** libvirt's daemon, or an image of ours that could not have all of them stored. */
  | "unstored";

/** What was found out about the service manager. */
export interface ServiceManager {
  /**
   * Variables that the process lacks, or has with another value: NOTIFY_SOCKET, and FDSTORE as systemd itself
   * sets it since version 254.
   */
  readonly variables: Readonly<Record<string, string>>;
  /** Why it is not certain how many descriptors it keeps; undefined when it is. */
  readonly doubt?: string;
}

/**
 * Finds out how many descriptors systemd keeps for this service, where the environment does not tell.
 *
 * libvirt's daemon of 9.0 takes NOTIFY_SOCKET out of its environment, later ones keep it, and the unit of
 * none of them stores anything; but the unit that counts is the one that systemd has read by now, which is
 * ours. The same holds for a daemon of ours that was started from another unit. systemd before 254 tells
 * nothing in the environment: there VIRTLOCKD_FDSTORE_MAX says what our unit asks for, and systemd what it
 * has made of it.
 */
export function findServiceManager(
  { sys, loop, ledger, env, predecessor }: ServiceManagerParts,
): ServiceManager {
  const known = variable(env, "FDSTORE") !== undefined;
  if (predecessor === "stored" || (predecessor === "none" && known)) return { variables: {} };
  const notify = variable(env, "NOTIFY_SOCKET");
  // Without a predecessor its absence says that there is no manager; another one than systemd cannot be
  // asked.
  if (notify === undefined ? predecessor === "none" : notify !== SYSTEMD_NOTIFY) return { variables: {} };
  const unit = ownService(sys);
  if (unit === undefined || sys.uid() !== 0 || sys.access(SYSTEMD_NOTIFY, 0) !== 0) return { variables: {} };
  const argv = [SYSTEMCTL, ...storeQuery(unit)];
  const result = askProgramNow({ sys, loop, ledger, env, limit: LIMIT_MS }, SYSTEMCTL, argv);
  const found = notify === undefined ? { NOTIFY_SOCKET: SYSTEMD_NOTIFY } : {};
  const shown = readShownStore(result);
  if (typeof shown === "string") return { variables: found, doubt: shown };
  return { variables: { ...found, FDSTORE: String(shown.limit) } };
}
