import type { ReaperObserver } from "../lockspace/holder_reaper.ts";
import type { ManualReleaseObserver } from "../lockspace/manual_release.ts";
import type { SettleObserver } from "../lockspace/settler.ts";
import type { LockObserver } from "../lockspace/lock_observer.ts";
import type { LockSessionObserver } from "../programs/lock_program.ts";
import type { ClusterObserver } from "../cluster/cluster_observer.ts";
import type { StorageObserver } from "../storage/storage_observer.ts";
import type { ServedObserver } from "../../chassis/rpc/connection_parts.ts";
import type { ClientObserver } from "../../chassis/rpc/server.ts";

/** Everything that happens in the daemon, as its parts report it. */
export interface DaemonObserver
  extends
    LockObserver,
    ReaperObserver,
    ManualReleaseObserver,
    SettleObserver,
    LockSessionObserver,
    StorageObserver,
    ClusterObserver,
    ServedObserver,
    ClientObserver {}

/** Every event by name: one that is missing here does not compile. */
const EVENTS: Readonly<Record<keyof DaemonObserver, true>> = {
  lockspaceCreated: true,
  lockspacePlaced: true,
  granted: true,
  released: true,
  learnt: true,
  regranted: true,
  wentOn: true,
  regrantable: true,
  kept: true,
  givenBack: true,
  leaving: true,
  parked: true,
  unparked: true,
  resumeUnjudged: true,
  refused: true,
  recast: true,
  lost: true,
  regained: true,
  freedByHand: true,
  troubled: true,
  signalled: true,
  signalFailed: true,
  dying: true,
  gone: true,
  settled: true,
  settling: true,
  gaveUp: true,
  registered: true,
  restricted: true,
  served: true,
  connected: true,
  disconnected: true,
  storageHung: true,
  storageRecovered: true,
  storageLate: true,
  storageHelperEnded: true,
  ownerRecordFailed: true,
  mountsUnreadable: true,
  clusterJoined: true,
  clusterTroubled: true,
  clusterLost: true,
  clusterRecovered: true,
  clusterCondemned: true,
  clusterFenced: true,
  clusterDoubtful: true,
  clusterUnknown: true,
  clusterUnknownShare: true,
  clusterKeyRestored: true,
  clusterKeyUnreadable: true,
  clusterUnsafe: true,
  clusterOfSeveral: true,
  fenceCommandUnusable: true,
  fencingBegun: true,
  fencingWaits: true,
  fencingFailed: true,
  fencingOver: true,
  fencingDone: true,
  earlierStartFenced: true,
  earlierStartKept: true,
  clusterRegained: true,
  lostGuest: true,
};

/**
 * One observer that tells several, in order. Who does not implement an event is not called for it.
 *
 * @param observers the first is told first: what must be durable comes before what is only shown
 */
export function combineObservers(observers: readonly Partial<DaemonObserver>[]): DaemonObserver {
  const combined = {} as Record<keyof DaemonObserver, (...args: never[]) => void>;
  for (const event of Object.keys(EVENTS) as (keyof DaemonObserver)[]) {
    const handlers = observers.flatMap((observer) => {
      const handler = observer[event];
      return handler === undefined ? [] : [handler.bind(observer) as (...args: never[]) => void];
    });
    const [only] = handlers;
    combined[event] = handlers.length === 1 && only !== undefined
      ? only
      // No event has more than four arguments; rest parameters would allocate on the way of every request.
      : (first: never, second: never, third: never, fourth: never) => {
        for (const handler of handlers) handler(first, second, third, fourth);
      };
  }
  return combined as DaemonObserver;
}
