import assert from "node:assert/strict";
import type { PlayedEtcd } from "../cluster_model/played_etcd.ts";
import { type Killed, killedAtEveryCall } from "./every_step.ts";
import { THOROUGH } from "./thorough.ts";
import { isFree, lockOn } from "./kernel.ts";
import { PlayedGuest } from "./played_guest.ts";
import { holderOf, keysOf, openedCluster, PlayedHost } from "./played_host.ts";
import { until } from "./until.ts";

/** Whether a question to etcd gets there at once, or may be later than the next daemon's first ones. */
const WAYS = THOROUGH ? ["at once", "late"] as const : ["late"] as const;

/** What tests work with that kill a daemon of a cluster at each of its steps. */
export interface Stage {
  readonly etcd: PlayedEtcd;
  /** The host whose daemon is killed. */
  readonly a: PlayedHost;
  readonly b: PlayedHost;
  /** A guest of host a that holds nothing. */
  readonly beside: PlayedGuest;
}

/** Starts two hosts of a cluster and a guest, and ends them. */
export async function withStage(run: (stage: Stage) => Promise<void>): Promise<void> {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.startManaged(etcd, "a");
  await using b = await PlayedHost.startManaged(etcd, "b");
  await using beside = await PlayedGuest.start(a);
  await run({ etcd, a, b, beside });
}

/** Kills the daemon of host a, and looks that it was killed before a call, and after one. */
export async function killedAtEveryStep({ a, beside }: Stage, action: Killed): Promise<void> {
  for (const way of WAYS) {
    a.links.slow = way === "late";
    const kills = await killedAtEveryCall(a.manager, action, () => beside.roundTrip());
    assert.ok(kills.every((each) => each > 0), `killed ${kills.join(" and ")} times`);
  }
}

/** Waits, and says what the daemon of host a has said when it was in vain. */
export async function untilOn({ a, etcd }: Stage, what: string, condition: () => boolean): Promise<void> {
  try {
    await until(what, condition);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new Error(`${text}; etcd has ${keysOf(etcd).join()}; log:\n${a.manager.log.slice(-4000)}`);
  }
}

/** The lock file of a disk on a host. */
export function fileOf({ spaces }: PlayedHost, disk: string): string {
  return `${spaces.scsi}/${disk}`;
}

/** That a guest has a disk, in the kernel and in etcd, and no other host's gets it. */
export async function assertHeld({ etcd, a }: Stage, disk: string, guest: PlayedGuest, rival: PlayedGuest) {
  assert.equal(lockOn(fileOf(a, disk)).mode, "exclusive");
  assert.equal(holderOf(etcd, disk), guest.pid);
  assert.match(
    await rival.acquire(disk),
    new RegExp(`is locked by domain '${guest.owner.name}' .* on host '`),
  );
}

/** That nobody has anything, neither now nor when what the killed daemon had sent has arrived at etcd. */
export async function assertNothingLeft(stage: Stage, ...disks: readonly string[]): Promise<void> {
  const { etcd, a, b } = stage;
  const nothing = () =>
    keysOf(etcd).length === 0 && disks.every((disk) => isFree(fileOf(a, disk)) && isFree(fileOf(b, disk)));
  await untilOn(stage, "nothing to be left", nothing);
  a.links.deliverLate();
  assert.deepEqual(keysOf(etcd), []);
}
