import type { RebootStatus } from "../cluster/reboot/earlier_starts.ts";
import type { ClusterStatus } from "../cluster/cluster_status.ts";
import type { FencingStatus } from "../cluster/fencing/host_fencing.ts";
import { ErrorCode } from "../../chassis/wire/rpc_error.ts";
import type { StatusDocument, StorageEntry } from "../status/status_document.ts";
import type { LockTally } from "./lock_tally.ts";
import { BUCKET_BOUNDS, type Counts, type Metrics } from "./metrics.ts";
import type { Calls } from "./calls.ts";
import { PrometheusText } from "../../chassis/metrics/prometheus_text.ts";
import { VIRTLOCKD } from "../identity/identity.ts";

/**
 * Lockspaces that have samples of their own; the others are counted together as `*`, so that the text stays
 * small.
 */
const NAMED_LOCKSPACES = 100;
const LONGEST_NAME = 1024;
const OTHERS = "*";

const RESULTS = new Map<number, string>(
  Object.entries(ErrorCode).map(([name, code]) => [code, name.toLowerCase()]),
);

/** All metrics of the daemon in Prometheus' text format. */
export function metricsText(metrics: Metrics, status: StatusDocument, tally: LockTally): string {
  const text = new PrometheusText(VIRTLOCKD.name);
  text.metric("build_info", "gauge", "Version of the running daemon.");
  text.sample("build_info", { version: status.version }, 1);
  text.single(
    "start_time_seconds",
    "gauge",
    "Unix time at which the process began to serve, before any re-exec.",
    metrics.started / 1000,
  );
  text.single(
    "counters_start_time_seconds",
    "gauge",
    "Unix time at which the counters began: they go on over re-execs, crashes and restarts.",
    metrics.counting / 1000,
  );
  writeDaemon(text, metrics, status);
  writeClients(text, metrics, status);
  writeLocks(text, metrics, status, tally);
  writeRequests(text, [...metrics.calls()]);
  return text.toString();
}

function writeDaemon(text: PrometheusText, metrics: Metrics, status: StatusDocument): void {
  text.single(
    "reexecs_total",
    "counter",
    "Times the daemon executed its program anew and kept its state.",
    metrics.counts.reExecs,
  );
  text.single(
    "reexec_failures_total",
    "counter",
    "Times the new program was not executed because something was wrong with it or with the state.",
    metrics.counts.reExecFailures,
  );
  text.single(
    "crashes_total",
    "counter",
    "Times a daemon was started again after the last one had been killed or had crashed.",
    metrics.counts.crashes,
  );
  text.single(
    "restarts_total",
    "counter",
    "Times a daemon was started again after the last one had been stopped, with the state that it left.",
    metrics.counts.restarts,
  );
  text.single(
    "recovered_locks_total",
    "counter",
    "Locks that were taken over after crashes and restarts.",
    metrics.counts.recovered,
  );
  text.single(
    "lost_locks_total",
    "counter",
    "Locks that could not be taken over after crashes and restarts: their guests ran unprotected.",
    metrics.counts.lost,
  );
  text.single("state_bytes", "gauge", "Size of the state at the last re-exec.", metrics.stateBytes);
  text.single(
    "open_descriptors",
    "gauge",
    "File descriptors that are open.",
    status.descriptors.open,
  );
  text.single(
    "open_descriptors_max",
    "gauge",
    "File descriptors that may be open.",
    status.descriptors.limit,
  );
  writeSections(text, metrics, status);
  writeStorage(text, metrics, status);
}

/** Storage that may hang: the one thing that nobody on this host can mend. */
function writeStorage(text: PrometheusText, { counts }: Metrics, { storage = [] }: StatusDocument): void {
  const gauge = (name: string, help: string, value: (entry: StorageEntry) => number) => {
    if (storage.length === 0) return;
    text.metric(name, "gauge", help);
    for (const entry of storage) text.sample(name, { mount: entry.mount.toWellFormed() }, value(entry));
  };
  gauge(
    "storage_hung",
    "Whether the storage of a mount has not answered within the time limit.",
    ({ state }) => state === "hung" ? 1 : 0,
  );
  gauge(
    "storage_waiting",
    "Operations that wait for the storage of a mount.",
    ({ waiting }) => waiting,
  );
  gauge(
    "storage_busy_seconds",
    "How long the operation on the storage of a mount has taken so far.",
    ({ busyMs = 0 }) => busyMs / 1000,
  );
  text.single(
    "storage_hangs_total",
    "counter",
    "Times that storage did not answer within the time limit.",
    counts.storageHangs,
  );
  text.single(
    "storage_helper_failures_total",
    "counter",
    "Times that a helper process for storage failed.",
    counts.storageHelperFailures,
  );
}

/** Of the parts that not every daemon has. */
function writeSections(text: PrometheusText, metrics: Metrics, { sections }: StatusDocument): void {
  const { store, journal, cluster } = sections;
  const gauge = (name: string, help: string, value: number) => text.single(name, "gauge", help, value);
  if (store?.present === true) {
    gauge("stored_descriptors", "Descriptors that systemd keeps copies of.", store.stored);
    gauge("stored_descriptors_max", "Copies that systemd may keep.", store.limit);
    gauge(
      "stored_descriptors_refused",
      "Descriptors that had no room in the store.",
      store.refused,
    );
    gauge("store_kept", "1 while systemd keeps what it was sent.", store.kept === false ? 0 : 1);
    text.single(
      "store_drops_total",
      "counter",
      "Times that systemd dropped what it kept.",
      store.drops ?? 0,
    );
  }
  if (journal !== undefined) gauge("journal_bytes", "Size of the journal.", journal.bytes);
  if (cluster !== undefined) {
    writeCluster(text, metrics, cluster);
    writeLostGuests(text, metrics, cluster);
  }
}

function writeCluster(text: PrometheusText, { counts }: Metrics, cluster: ClusterStatus): void {
  const gauge = (name: string, help: string, value: number) => text.single(name, "gauge", help, value);
  const live = cluster.state === "live" && cluster.reason === undefined;
  gauge("cluster_member", "1 while locks of the cluster's can be had.", live ? 1 : 0);
  if (cluster.etcd !== undefined) {
    gauge(
      "cluster_etcd_unsafe_members",
      "Members of etcd whose version has faults that may give one lock to two hosts.",
      cluster.etcd.filter(({ unsafe }) => unsafe !== undefined).length,
    );
  }
  gauge("cluster_locks", "Locks that etcd has for this host.", cluster.locks);
  gauge("cluster_locks_local", "Locks of which no other host is told.", cluster.local ?? 0);
  gauge("cluster_locks_lost", "Locks of this host's guests that other hosts have.", cluster.lost ?? 0);
  gauge("cluster_locks_parked", "Locks that are kept for paused guests.", cluster.parked);
  gauge("cluster_locks_left", "Locks that others got while their guest was paused.", cluster.left);
  gauge("cluster_locks_releasing", "Locks that are being given back to etcd.", cluster.releasing);
  gauge(
    "cluster_locks_unknown",
    "Locks that etcd has for processes of which this daemon knows nothing.",
    cluster.unknown,
  );
  gauge(
    "cluster_silence_seconds",
    "Time since etcd has last answered.",
    (cluster.silentMs ?? 0) / 1000,
  );
  if (cluster.fencing !== undefined) writeFencing(text, counts, cluster.fencing);
  if (cluster.reboot !== undefined) writeReboot(text, counts, cluster.reboot);
}

function writeReboot(text: PrometheusText, { rebootFences }: Counts, { state, kept }: RebootStatus): void {
  const gauge = (name: string, help: string, value: number) => text.single(name, "gauge", help, value);
  gauge(
    "cluster_reboot_trusted",
    "1 where the host frees by itself, after a reboot, what it had before.",
    state === "trusted" ? 1 : 0,
  );
  text.single(
    "cluster_reboot_fences_total",
    "counter",
    "Earlier starts of this host whose locks it has freed.",
    rebootFences,
  );
  gauge(
    "cluster_reboot_locks_kept",
    "Locks of earlier starts of this host that stay, because it is not certain that their guests are gone.",
    kept.reduce((sum, { locks }) => sum + locks, 0),
  );
}

/** Guests whose lock another host has got. */
function writeLostGuests(text: PrometheusText, { counts }: Metrics, { stopped = 0 }: ClusterStatus): void {
  text.single(
    "cluster_guests_stopped",
    "gauge",
    "Guests that were stopped because other hosts had their locks, and stand still.",
    stopped,
  );
  text.metric(
    "cluster_lost_guests_total",
    "counter",
    "Guests that ran with a lock which another host had, by what was done with them.",
  );
  text.sample("cluster_lost_guests_total", { done: "stopped" }, counts.lostGuestsStopped);
  text.sample("cluster_lost_guests_total", { done: "killed" }, counts.lostGuestsKilled);
  text.sample("cluster_lost_guests_total", { done: "spared" }, counts.lostGuestsSpared);
}

function writeFencing(text: PrometheusText, counts: Counts, { fault, hosts }: FencingStatus): void {
  const gauge = (name: string, help: string, value: number) => text.single(name, "gauge", help, value);
  gauge(
    "cluster_fence_command_usable",
    "1 while the program that fences hosts can be run.",
    fault === undefined ? 1 : 0,
  );
  gauge("cluster_fence_hosts", "Hosts that are to be fenced by the program.", hosts.length);
  text.single("cluster_fences_total", "counter", "Hosts that the program has fenced.", counts.fences);
  text.single(
    "cluster_fence_failures_total",
    "counter",
    "Tries to have a host fenced that have failed.",
    counts.fenceFailures,
  );
}

function writeClients(text: PrometheusText, { connections }: Metrics, { servers }: StatusDocument): void {
  text.metric("clients", "gauge", "Connected clients.");
  for (const { name, clients } of servers) text.sample("clients", { server: name }, clients);
  text.metric("clients_max", "gauge", "Clients that are served at once; more have to wait.");
  for (const { name, clientsMax } of servers) {
    text.sample("clients_max", { server: name }, clientsMax);
  }
  text.metric("connections_total", "counter", "Accepted connections.");
  for (const { name } of servers) {
    text.sample("connections_total", { server: name }, connections.get(name) ?? 0);
  }
}

function writeLocks(text: PrometheusText, metrics: Metrics, status: StatusDocument, tally: LockTally): void {
  const { counts } = metrics;
  text.metric("locks", "gauge", "Locks that are held. The default lockspace has an empty name.");
  const named = new Map<string, { exclusive: number; shared: number }>();
  for (const [path, { exclusive, shared }] of tally.lockspaces) {
    const fits = path.length <= LONGEST_NAME && named.size < NAMED_LOCKSPACES;
    const name = fits ? path.toWellFormed() : OTHERS;
    const sum = named.get(name) ?? { exclusive: 0, shared: 0 };
    named.set(name, { exclusive: sum.exclusive + exclusive, shared: sum.shared + shared });
  }
  for (const [lockspace, { exclusive, shared }] of named) {
    text.sample("locks", { lockspace, mode: "exclusive" }, exclusive);
    text.sample("locks", { lockspace, mode: "shared" }, shared);
  }
  writeStates(text, status, tally);
  text.single("locks_granted_total", "counter", "Locks granted.", counts.granted);
  text.single("locks_released_total", "counter", "Locks given up.", counts.released);
  text.single(
    "release_failures_total",
    "counter",
    "Releases that failed or left a file behind.",
    counts.releaseFailures,
  );
  text.metric("refusals_total", "counter", "Refused locks, by reason.");
  for (const [reason, count] of metrics.refusals) text.sample("refusals_total", { reason }, count);
  text.single(
    "holders_killed_total",
    "counter",
    "Holders that were killed because their connection had ended.",
    counts.holdersKilled,
  );
  text.single(
    "holder_signal_failures_total",
    "counter",
    "Holders that could not be signalled.",
    counts.holderSignalFailures,
  );
  text.single(
    "locks_given_up_total",
    "counter",
    "Locks of owners that are gone, given up without knowing whether their last writes have landed.",
    counts.givenUp,
  );
}

/** How many locks are not simply held. */
function writeStates(text: PrometheusText, status: StatusDocument, tally: LockTally): void {
  text.single("holders", "gauge", "Processes that own a lock.", status.locks.holders);
  text.single(
    "holders_dying",
    "gauge",
    "Holders whose connection has ended and whose process is being ended.",
    status.locks.dying,
  );
  text.single(
    "locks_settling",
    "gauge",
    "Locks whose owner's process is gone, and which wait for its last writes.",
    status.locks.settling,
  );
  text.single(
    "locks_doubtful",
    "gauge",
    "Locks that cannot be proven or released.",
    tally.doubtful,
  );
  text.single(
    "locks_lost",
    "gauge",
    "Locks that are not held although their owners were told so.",
    tally.lost,
  );
  text.single(
    "locks_inherited",
    "gauge",
    "Locks taken over from libvirt's daemon, which would not survive a crash.",
    tally.posix,
  );
}

function writeRequests(text: PrometheusText, served: readonly Calls[]): void {
  text.metric("requests_total", "counter", "Requests served, by result.");
  for (const { program, procedure, succeeded, failed } of served) {
    text.sample("requests_total", { program, procedure, result: "ok" }, succeeded);
    for (const [code, count] of failed) {
      const result = RESULTS.get(code) ?? `error_${code}`;
      text.sample("requests_total", { program, procedure, result }, count);
    }
  }
  const histogram = "request_duration_seconds";
  text.metric(histogram, "histogram", "Time from the dispatch of a request to its reply.");
  for (const { program, procedure, buckets, total } of served) {
    const labels = { program, procedure };
    let count = 0;
    buckets.forEach((inBucket, index) => {
      const bound = BUCKET_BOUNDS[index];
      count += inBucket;
      const le = bound === undefined ? "+Inf" : String(bound / 1000);
      text.sample(`${histogram}_bucket`, { ...labels, le }, count);
    });
    text.sample(`${histogram}_sum`, labels, total / 1000);
    text.sample(`${histogram}_count`, labels, count);
  }
}
