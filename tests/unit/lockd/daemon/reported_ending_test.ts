import assert from "node:assert/strict";
import type { LockReach } from "../../../../src/lockd/cluster/cluster_parts.ts";
import type { Ending } from "../../../../src/lockd/daemon/ending.ts";
import { reportEnding } from "../../../../src/lockd/daemon/reported_ending.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { KeptLog } from "../journal/kept_log.ts";
import { holding, resource } from "../programs/lock_fixture.ts";

const WEB = resource({ id: 1, path: "/local/web", holdings: [holding(42, "web")] });
const DB = resource({ id: 2, path: "/cluster/db", holdings: [holding(43, "db")] });
const LOG = resource({ id: 3, path: "/cluster/log", holdings: [holding(43, "db")] });
/** Of which etcd has nothing yet, or no more. */
const NEW = resource({ id: 4, path: "/pending/new", holdings: [holding(44, "new")] });

/** What is said at an end, on a host of a cluster. */
function said(
  ending: Ending,
  resources: readonly Resource[],
  facts: { readonly refused?: number; readonly takenAgain?: boolean } = {},
): string {
  const log = new KeptLog();
  const reaches: Readonly<Record<string, LockReach>> = {
    cluster: "cluster",
    pending: "pending",
    local: "local",
  };
  const cluster = { reachOf: (path: string) => reaches[path.split("/")[1] ?? ""] ?? "local" };
  const table = { resources: () => resources.values() as Generator<Resource> };
  reportEnding({ log, table, cluster }, { ending, refused: 0, takenAgain: false, ...facts });
  assert.ok(log.lines.length <= 1);
  return log.lines[0] ?? "";
}

Deno.test("reportEnding() says nothing without locks", () => {
  const endings = ["given-up", "left", "restarted", "unasked", "unsure"] as const;
  assert.deepEqual(endings.map((ending) => said(ending, [])), ["", "", "", "", ""]);
});

Deno.test("reportEnding() says of a stop which guests run on without protection", () => {
  const given =
    "Stopping with 2 locks held of the guests 'web', 'new': they are given up now, and nothing protects these disks";
  assert.equal(said("given-up", [WEB, NEW]), `warning: ${given} until their guests are started anew`);
  assert.equal(
    said("given-up", [WEB, NEW], { takenAgain: true }),
    `warning: ${given} until the next daemon, which takes the locks again that nobody else has got by then`,
  );
});

Deno.test("reportEnding() says of a stop what etcd keeps, which no other host gets", () => {
  assert.equal(
    said("given-up", [DB]),
    "warning: Stopping with 1 lock held of the guest 'db'. etcd keeps it for this host: no other host of the cluster " +
      "gets its disk, and the next daemon here goes on with it",
  );
  assert.equal(
    said("given-up", [WEB, DB, LOG]),
    "warning: Stopping with 3 locks held of the guests 'web', 'db': 1 lock of the guest 'web' is given up now, and " +
      "nothing protects these disks until their guests are started anew. etcd keeps 2 locks of the guest 'db' for this " +
      "host: no other host of the cluster gets their disks, and the next daemon here goes on with them",
  );
});

Deno.test("reportEnding() says what is free until the next daemon where systemd keeps no copies", () => {
  const next = "until the next daemon, which takes the locks again that nobody else has got by then";
  assert.equal(
    said("left", [WEB]),
    `error: Stopping with 1 lock held of the guest 'web', of which systemd keeps no copies: nothing protects these disks ${next}`,
  );
  assert.equal(
    said("left", [WEB, DB]),
    "error: Stopping with 2 locks held of the guests 'web', 'db', of which systemd keeps no copies: nothing protects " +
      `the disks of 1 lock of the guest 'web' ${next}. etcd keeps 1 lock of the guest 'db' for this host: no other ` +
      "host of the cluster gets its disk, and the next daemon here goes on with it",
  );
  assert.equal(
    said("left", [DB, LOG]),
    "error: Stopping with 2 locks held of the guest 'db', of which systemd keeps no copies. etcd keeps them for this " +
      "host: no other host of the cluster gets their disks, and the next daemon here goes on with them",
  );
});

Deno.test("reportEnding() promises what systemd keeps, and no more", () => {
  assert.equal(
    said("restarted", [WEB, DB]),
    "notice: Stopping for a restart with 2 locks held of the guests 'web', 'db': systemd keeps them for the daemon that " +
      "is started next",
  );
  assert.match(
    said("restarted", [WEB, DB], { refused: 2 }),
    /^error: .*no room for \(2 descriptors\): of that, locks are free until then\. etcd keeps 1 lock of the guest 'db' /,
  );
  assert.match(said("unasked", [WEB]), /^warning: .*'systemctl stop' stops the daemon and gives them up$/);
  assert.match(said("unasked", [WEB, DB]), / stops the daemon and gives up those that etcd does not keep$/);
  assert.match(said("unsure", [WEB]), /^warning: .* and drops them if it was told to stop it$/);
  assert.match(said("unsure", [DB]), / if it was told to stop it\. etcd keeps it for this host: /);
});
