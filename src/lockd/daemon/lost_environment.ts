import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { readSmallFile } from "../lockspace/process_state.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import { probe, type ProbeResult } from "../../chassis/handover/probe.ts";

/** systemd's own notify socket. */
const NOTIFY_SOCKET = "/run/systemd/notify";
const SYSTEMCTL = "/usr/bin/systemctl";
/** systemctl answers in 20 ms; clients wait meanwhile. */
const LIMIT_MS = 3000;

/** What finding the service manager works with. */
export interface LostEnvironmentParts {
  readonly sys: Sys;
  /** Turned until systemctl has answered; nothing else is watched yet. */
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  /** Environment of the process, `NAME=value`. */
  readonly env: readonly string[];
}

/**
 * What a system service has to know of systemd and lacks when libvirt's daemon has handed over: that one
 * takes NOTIFY_SOCKET out of its environment, and its unit never said how many descriptors are stored.
 *
 * The unit is the one that systemd has read by now, ours or libvirt's. Without an answer nothing is stored.
 *
 * @returns NOTIFY_SOCKET and VIRTLOCKD_FDSTORE_MAX; nothing when this is no system service
 */
export function lostEnvironment(
  { sys, loop, ledger, env }: LostEnvironmentParts,
): Readonly<Record<string, string>> {
  const unit = /\/([^/\n]+\.service)$/m.exec(readSmallFile(sys, "/proc/self/cgroup") ?? "")?.[1];
  if (unit === undefined || sys.uid() !== 0 || sys.access(NOTIFY_SOCKET, 0) !== 0) return {};
  const query = ["show", "--value", "--property=FileDescriptorStoreMax", unit];
  let result: ProbeResult | undefined;
  probe({ sys, loop, ledger, env, limit: LIMIT_MS }, SYSTEMCTL, query, (ended) => result = ended);
  while (result === undefined) loop.turn(-1);
  const limit = result.kind === "ended" && result.code === 0 ? result.output.trim() : "";
  return { NOTIFY_SOCKET, ...(/^\d+$/.test(limit) ? { VIRTLOCKD_FDSTORE_MAX: limit } : {}) };
}
