import { counted } from "../../chassis/log/counted.ts";
import type { Log } from "../../chassis/log/log.ts";
import type { LockTable } from "../lockspace/lock_table.ts";
import type { Resource } from "../lockspace/resource.ts";
import { ofGuests } from "./beginning.ts";
import type { Ending } from "./ending.ts";
import { type ReachingCluster, staysInCluster } from "./stays_in_cluster.ts";

/** What there is to tell of an end. */
export interface EndingFacts {
  readonly ending: Ending;
  /** How many descriptors the store could not take. */
  readonly refused: number;
  /** Whether the journal's file stays, by which the next daemon takes the locks again. */
  readonly takenAgain: boolean;
}

/** Whose end it is. */
interface Ended {
  readonly table: Pick<LockTable, "resources">;
  readonly log: Pick<Log, "notice" | "warn" | "error">;
  readonly cluster: ReachingCluster | undefined;
}

/**
 * Whoever stops a lock daemon should know which guests run on without protection, and whoever restarts it
 * that they do not.
 */
export function reportEnding(daemon: Ended, { ending, refused, takenAgain }: EndingFacts): void {
  const { log } = daemon;
  const all = [...daemon.table.resources()];
  if (all.length === 0) return;
  const kept = all.filter(({ path }) => staysInCluster(daemon, path));
  const bare = all.filter((each) => !kept.includes(each));
  const held = `${counted(all.length, "lock")} held${ofGuests(all)}`;
  const cluster = kept.length === 0 ? "" : `. ${keptPart(kept, bare.length === 0)}`;
  switch (ending) {
    case "given-up": {
      if (bare.length === 0) return log.warn(`Stopping with ${held}${cluster}`);
      const until = takenAgain ? NEXT_DAEMON : "until their guests are started anew";
      const what = kept.length === 0
        ? "they are"
        : `${counted(bare.length, "lock")}${ofGuests(bare)} ${bare.length === 1 ? "is" : "are"}`;
      return log.warn(
        `Stopping with ${held}: ${what} given up now, and nothing protects these disks ${until}${cluster}`,
      );
    }
    case "left": {
      if (bare.length === 0) {
        return log.error(`Stopping with ${held}, of which systemd keeps no copies${cluster}`);
      }
      const what = kept.length === 0
        ? "these disks"
        : `the disks of ${counted(bare.length, "lock")}${ofGuests(bare)}`;
      return log.error(
        `Stopping with ${held}, of which systemd keeps no copies: nothing protects ${what} ${NEXT_DAEMON}${cluster}`,
      );
    }
    case "restarted":
      if (refused > 0) {
        return log.error(
          `Stopping for a restart with ${held}: systemd keeps them for the daemon that is started next, except for what ` +
            `its store had no room for (${
              counted(refused, "descriptor")
            }): of that, locks are free until then${cluster}`,
        );
      }
      return log.notice(
        `Stopping for a restart with ${held}: systemd keeps them for the daemon that is started next`,
      );
    case "unasked":
      return log.warn(
        `Ending with ${held}, which systemd was not told to do: with an error, so that it starts the service again and ` +
          `keeps them. 'systemctl stop' stops the daemon and gives ${
            kept.length === 0 ? "them up" : "up those that etcd does not keep"
          }`,
      );
    case "unsure":
      return log.warn(
        `Stopping with ${held}: systemd keeps them if it starts the service again, and drops them if it was told to stop ` +
          `it${cluster}`,
      );
  }
}

const NEXT_DAEMON = "until the next daemon, which takes the locks again that nobody else has got by then";

/** What becomes of locks that etcd has. @param all whether there are no others */
function keptPart(kept: readonly Resource[], all: boolean): string {
  const what = all ? (kept.length === 1 ? "it" : "them") : `${counted(kept.length, "lock")}${ofGuests(kept)}`;
  const [disks, they] = kept.length === 1 ? ["its disk", "it"] : ["their disks", "them"];
  return `etcd keeps ${what} for this host: no other host of the cluster gets ${disks}, and the next daemon here goes ` +
    `on with ${they}`;
}
