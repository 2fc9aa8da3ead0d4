import assert from "node:assert/strict";
import type { ClusterStatus } from "../../../../src/lockd/cluster/cluster_status.ts";
import type { FencingStatus } from "../../../../src/lockd/cluster/fencing/host_fencing.ts";
import type { RebootStatus } from "../../../../src/lockd/cluster/reboot/earlier_starts.ts";
import { tallyLocks } from "../../../../src/lockd/reporting/lock_tally.ts";
import { Metrics } from "../../../../src/lockd/reporting/metrics.ts";
import { metricsText } from "../../../../src/lockd/reporting/metrics_text.ts";
import type { Sections, StatusDocument } from "../../../../src/lockd/status/status_document.ts";
import { holding, resource, tableOf } from "../programs/lock_fixture.ts";

const STATUS: StatusDocument = {
  version: "1.2.3",
  pid: 7,
  started: 1500,
  uptime: 60,
  reExecs: 0,
  servers: [{ name: "virtlockd", clients: 3, clientsMax: 1024 }, {
    name: "admin",
    clients: 0,
    clientsMax: 5,
  }],
  locks: { exclusive: 0, shared: 0, lockspaces: 1, holders: 2, dying: 1, settling: 0, doubtful: 0, posix: 0 },
  descriptors: { open: 20, limit: 1024 },
  idleTimeout: 0,
  logging: { level: 3, filters: "", outputs: "3:stderr" },
  sections: { storage: {} },
};

/** A host of a cluster, as a daemon tells of it that has neither a program to fence nor looks at reboots. */
const CLUSTER: ClusterStatus = {
  name: "prod",
  host: "kvm7",
  session: "s",
  state: "live",
  locks: 3,
  parked: 0,
  left: 0,
  releasing: 0,
  unknown: 0,
};

function clusterText(metrics: Metrics, cluster: ClusterStatus): string {
  return metricsText(metrics, { ...STATUS, sections: { storage: {}, cluster } }, tallyLocks(tableOf([])));
}

/** Samples of a text: the lines that are no comments. */
function samples(text: string): string[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

Deno.test("metricsText() gives a sample of everything that is counted", () => {
  const metrics = new Metrics(1500);
  metrics.connected({ name: "virtlockd" });
  metrics.refused({}, { kind: "not-held", resource: "r" });
  metrics.reExecuted(4711);
  const tally = tallyLocks(tableOf([resource({ id: 1, name: 'a"', lockspace: "/l s" })]));
  assert.deepEqual(samples(metricsText(metrics, STATUS, tally)), [
    'virtlockd_build_info{version="1.2.3"} 1',
    "virtlockd_start_time_seconds 1.5",
    "virtlockd_counters_start_time_seconds 1.5",
    "virtlockd_reexecs_total 1",
    "virtlockd_reexec_failures_total 0",
    "virtlockd_crashes_total 0",
    "virtlockd_restarts_total 0",
    "virtlockd_recovered_locks_total 0",
    "virtlockd_lost_locks_total 0",
    "virtlockd_state_bytes 4711",
    "virtlockd_open_descriptors 20",
    "virtlockd_open_descriptors_max 1024",
    "virtlockd_storage_hangs_total 0",
    "virtlockd_storage_helper_failures_total 0",
    'virtlockd_clients{server="virtlockd"} 3',
    'virtlockd_clients{server="admin"} 0',
    'virtlockd_clients_max{server="virtlockd"} 1024',
    'virtlockd_clients_max{server="admin"} 5',
    'virtlockd_connections_total{server="virtlockd"} 1',
    'virtlockd_connections_total{server="admin"} 0',
    'virtlockd_locks{lockspace="",mode="exclusive"} 0',
    'virtlockd_locks{lockspace="",mode="shared"} 0',
    'virtlockd_locks{lockspace="/l s",mode="exclusive"} 1',
    'virtlockd_locks{lockspace="/l s",mode="shared"} 0',
    "virtlockd_holders 2",
    "virtlockd_holders_dying 1",
    "virtlockd_locks_settling 0",
    "virtlockd_locks_doubtful 0",
    "virtlockd_locks_lost 0",
    "virtlockd_locks_inherited 0",
    "virtlockd_locks_granted_total 0",
    "virtlockd_locks_released_total 0",
    "virtlockd_release_failures_total 0",
    'virtlockd_refusals_total{reason="not-held"} 1',
    "virtlockd_holders_killed_total 0",
    "virtlockd_holder_signal_failures_total 0",
    "virtlockd_locks_given_up_total 0",
  ]);
});

Deno.test("metricsText() gives what it knows of the descriptor store and the journal, where there is one", () => {
  const sections: Sections = {
    store: { present: true, stored: 12, limit: 100, refused: 3, queued: 0, kept: false, drops: 2 },
    journal: { kind: "store", bytes: 4096 },
    storage: { "/mnt": "hung" },
  };
  const text = metricsText(new Metrics(0), { ...STATUS, sections }, tallyLocks(tableOf([])));
  assert.deepEqual(samples(text).filter((line) => /_stored_|_store_|_journal_/.test(line)), [
    "virtlockd_stored_descriptors 12",
    "virtlockd_stored_descriptors_max 100",
    "virtlockd_stored_descriptors_refused 3",
    "virtlockd_store_kept 0",
    "virtlockd_store_drops_total 2",
    "virtlockd_journal_bytes 4096",
  ]);
});

Deno.test("metricsText() gives what became of guests whose lock another host has got, on a host of a cluster", () => {
  const metrics = new Metrics(0);
  const lost = { owner: holding(42).owner, resource: resource({ id: 1 }) };
  metrics.lostGuest({ kind: "stopped", ...lost });
  metrics.lostGuest({ kind: "spared", reason: "why", ...lost });
  const cluster = { ...CLUSTER, stopped: 2 };
  const lines = samples(clusterText(metrics, cluster));
  assert.deepEqual(lines.filter((line) => line.includes("_guests")), [
    "virtlockd_cluster_guests_stopped 2",
    'virtlockd_cluster_lost_guests_total{done="stopped"} 1',
    'virtlockd_cluster_lost_guests_total{done="killed"} 0',
    'virtlockd_cluster_lost_guests_total{done="spared"} 1',
  ]);
});

Deno.test("metricsText() gives what a host of a cluster makes of its earlier starts", () => {
  const metrics = new Metrics(0);
  metrics.earlierStartFenced();
  const lines = (reboot: RebootStatus) =>
    samples(clusterText(metrics, { ...CLUSTER, reboot })).filter((line) => line.includes("_reboot_"));
  assert.deepEqual(lines({ state: "trusted", fenced: 1, kept: [] }), [
    "virtlockd_cluster_reboot_trusted 1",
    "virtlockd_cluster_reboot_fences_total 1",
    "virtlockd_cluster_reboot_locks_kept 0",
  ]);
  const kept = [
    { session: "s-1", boot: "b-1", locks: 2, reason: "it was on another machine" },
    { session: "s-2", boot: "b-2", locks: 11, reason: "it was on another machine" },
  ];
  // This image of the daemon has fenced none: the counter is of all images.
  assert.deepEqual(lines({ state: "untrusted", reason: "this is a container", fenced: 0, kept }), [
    "virtlockd_cluster_reboot_trusted 0",
    "virtlockd_cluster_reboot_fences_total 1",
    "virtlockd_cluster_reboot_locks_kept 13",
  ]);
  assert.doesNotMatch(clusterText(metrics, CLUSTER), /_reboot_/);
});

Deno.test("metricsText() gives what has come of fencing hosts by a program, where there is one", () => {
  const metrics = new Metrics(0);
  metrics.fencingDone();
  for (let count = 0; count < 4; count++) metrics.fencingFailed();
  const host = {
    host: "kvm9",
    session: "s-9",
    state: "failed",
    sinceMs: 1,
    failures: 4,
    reason: "why",
  } as const;
  const lines = (more: Partial<FencingStatus>) => {
    const fencing = { command: "/fence", hosts: [host], fenced: 0, failures: 0, ...more };
    return samples(clusterText(metrics, { ...CLUSTER, fencing })).filter((line) => line.includes("_fence"));
  };
  assert.deepEqual(lines({}), [
    "virtlockd_cluster_fence_command_usable 1",
    "virtlockd_cluster_fence_hosts 1",
    "virtlockd_cluster_fences_total 1",
    "virtlockd_cluster_fence_failures_total 4",
  ]);
  assert.equal(lines({ fault: "it is not there" })[0], "virtlockd_cluster_fence_command_usable 0");
  assert.doesNotMatch(clusterText(metrics, CLUSTER), /_fence/);
});

Deno.test("metricsText() gives requests by result, and their times as a cumulative histogram in seconds", () => {
  const metrics = new Metrics(0);
  metrics.served("lock", "Acquire", 0, 0.02);
  metrics.served("lock", "Acquire", 0, 20_000);
  metrics.served("lock", "Acquire", 87, 1);
  metrics.served("lock", "Acquire", 4242, 1);
  const lines = samples(metricsText(metrics, STATUS, tallyLocks(tableOf([]))));
  const start = lines.indexOf('virtlockd_requests_total{program="lock",procedure="Acquire",result="ok"} 2');
  const labels = 'program="lock",procedure="Acquire"';
  const bucket = (le: string, count: number) =>
    `virtlockd_request_duration_seconds_bucket{${labels},le="${le}"} ${count}`;
  assert.deepEqual(lines.slice(start + 1), [
    `virtlockd_requests_total{${labels},result="resource_busy"} 1`,
    `virtlockd_requests_total{${labels},result="error_4242"} 1`,
    bucket("0.00001", 0),
    bucket("0.000025", 1),
    bucket("0.00005", 1),
    bucket("0.0001", 1),
    bucket("0.00025", 1),
    bucket("0.0005", 1),
    bucket("0.001", 3),
    bucket("0.0025", 3),
    bucket("0.005", 3),
    bucket("0.01", 3),
    bucket("0.025", 3),
    bucket("0.1", 3),
    bucket("0.5", 3),
    bucket("2.5", 3),
    bucket("10", 3),
    bucket("+Inf", 4),
    `virtlockd_request_duration_seconds_sum{${labels}} 20.00202`,
    `virtlockd_request_duration_seconds_count{${labels}} 4`,
  ]);
});

Deno.test("metricsText() counts the locks of too many, or too long, lockspaces together", () => {
  const resources = Array.from(
    { length: 150 },
    (_, index) => resource({ id: index + 1, lockspace: `/ls${index}` }),
  );
  resources.unshift(resource({ id: 200, lockspace: `/${"x".repeat(2000)}` }));
  const text = metricsText(new Metrics(0), STATUS, tallyLocks(tableOf(resources)));
  const lines = samples(text).filter((line) => line.startsWith("virtlockd_locks{"));
  // The default lockspace and 98 others, and the sum of the rest.
  assert.equal(lines.length, 200);
  assert.equal(lines.includes('virtlockd_locks{lockspace="*",mode="exclusive"} 53'), true);
});

Deno.test("metricsText() tells of each mount whether it hangs, what waits for it, and since when", () => {
  const metrics = new Metrics(0);
  metrics.storageHung();
  const text = metricsText(metrics, {
    ...STATUS,
    storage: [
      { mount: "/net", state: "hung", waiting: 3, busyMs: 12_500 },
      { mount: "/far", state: "idle", waiting: 0 },
    ],
  }, tallyLocks(tableOf([])));
  assert.deepEqual(samples(text).filter((line) => line.startsWith("virtlockd_storage_")), [
    'virtlockd_storage_hung{mount="/net"} 1',
    'virtlockd_storage_hung{mount="/far"} 0',
    'virtlockd_storage_waiting{mount="/net"} 3',
    'virtlockd_storage_waiting{mount="/far"} 0',
    'virtlockd_storage_busy_seconds{mount="/net"} 12.5',
    'virtlockd_storage_busy_seconds{mount="/far"} 0',
    "virtlockd_storage_hangs_total 1",
    "virtlockd_storage_helper_failures_total 0",
  ]);
});
