import { CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { ClusterNames } from "../../cluster/keys/names.ts";
import type { ClusterSettings } from "../../identity/cluster_settings.ts";
import type { ClosedCluster } from "./closed_cluster.ts";
import { confirmAllNamed, NAME_EVERY_HOST } from "./named_hosts.ts";
import type { OpenedCluster } from "./opened_cluster.ts";
import type { Word } from "./fencer.ts";

/**
 * Has all hosts lock what this one's configuration names: the cluster is closed, and each host that has put
 * in what it has there lets it open again. One whose configuration differs is not admitted before it does
 * not, so it locks nothing for itself alone that another one locks for all.
 *
 * @param expect every host of the cluster
 * @throws CommandError when one is not named, or a directory would be taken out that may be used
 */
export function takeDirectories(
  opened: Pick<OpenedCluster, "questions" | "keys" | "settings">,
  cluster: Pick<ClosedCluster, "change">,
  expect: readonly string[],
  { by, from }: Word,
): void {
  const { keys, settings } = opened;
  const spaces = spacesOf(settings);
  if (spaces.length === 0) {
    throw new CommandError(
      CommandExit.PROBLEM,
      "There are no cluster_lockspaces in virtlockd.conf here: say this on a host of the cluster",
    );
  }
  // A host that is not waited for might go on locking for itself alone.
  confirmAllNamed(opened, expect, NAME_EVERY_HOST);
  let closed = false;
  let emptied = false;
  cluster.change(
    (meta) => {
      closed = false;
      if (meta.phase === "recovering") return undefined;
      if (meta.spaces.join() === spaces.join()) return undefined;
      const gone = meta.spaces.filter((name) => !spaces.includes(name));
      if (gone.length > 0) confirmUnused(opened, gone);
      closed = true;
      emptied = gone.length > 0;
      const why = `${by} on ${from} has changed its directories from ${listed(meta.spaces)} to ${
        listed(spaces)
      }`;
      return { ...meta, spaces, phase: "forming", round: crypto.randomUUID(), expect: [], without: [], why };
    },
    () => ({
      compare: emptied
        ? [keys.exclusives, keys.shares].map((prefix) => ({ kind: "none-below", prefix } as const))
        : [],
      put: [],
    }),
  );
  // From now on none comes with other directories: whoever has come in between is seen.
  if (closed) {
    confirmAllNamed(
      opened,
      expect,
      `${NAME_EVERY_HOST}. The cluster is closed by now, and stays so until then`,
    );
  }
}

/** What all hosts would have to agree upon. */
function spacesOf({ clusterLockspaces, clusterDevices }: ClusterSettings): readonly string[] {
  const spaces = [...clusterLockspaces].map(([name, directory]) => ({ name, directory }));
  return new ClusterNames(spaces, () => undefined, clusterDevices).spaces;
}

/** @throws CommandError when somebody has a lock */
function confirmUnused(
  { questions, keys }: Pick<OpenedCluster, "questions" | "keys">,
  gone: readonly string[],
) {
  const locks = questions.list(keys.exclusives).length + questions.list(keys.shares).length;
  if (locks === 0) return;
  throw new CommandError(
    CommandExit.PROBLEM,
    `${
      listed(gone)
    }: of the cluster, and not in virtlockd.conf here. A directory is taken out only when nobody has ` +
      `any lock of the cluster's, and there are ${locks}`,
  );
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? "none" : names.join(", ");
}
