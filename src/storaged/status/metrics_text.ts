import { PrometheusText } from "../../chassis/metrics/prometheus_text.ts";
import { VIRTSTORAGED } from "../identity/identity.ts";
import type { CallCount } from "./call_counts.ts";
import type { JobDocument, StatusDocument } from "./documents.ts";

/** All metrics in Prometheus' text format. docs/storage.md lists them. */
export function metricsText(
  { version, started, servers, streams, pools, helpers }: StatusDocument,
  jobs: readonly JobDocument[],
  calls: readonly CallCount[],
): string {
  const text = new PrometheusText(VIRTSTORAGED.name);
  text.metric("build_info", "gauge", "Version of the daemon.");
  text.sample("build_info", { version }, 1);
  text.single(
    "start_time_seconds",
    "gauge",
    "When the daemon was started, in Unix seconds.",
    started / 1000,
  );
  text.metric("clients", "gauge", "Connected clients by server.");
  for (const { name, clients } of servers) text.sample("clients", { server: name }, clients);
  text.single("streams", "gauge", "Volumes that are being sent or received.", streams);
  text.metric("pools", "gauge", "Pools by whether they are active.");
  text.sample("pools", { state: "active" }, pools.active);
  text.sample("pools", { state: "inactive" }, pools.inactive);
  text.single(
    "pools_hung",
    "gauge",
    "Pools whose storage has not answered when it was last asked.",
    pools.hung.length,
  );
  text.metric("jobs", "gauge", "Jobs under way by how they are.");
  for (const state of ["waiting", "running", "hung"] as const) {
    text.sample("jobs", { state }, jobs.filter((job) => job.state === state).length);
  }
  text.single("helpers", "gauge", "Helper processes.", helpers);
  text.metric("calls_total", "counter", "Calls of clients by procedure.");
  for (const { procedure, calls: count } of calls) {
    text.sample("calls_total", { procedure }, count);
  }
  text.metric("call_failures_total", "counter", "Calls that were refused, by procedure.");
  for (const { procedure, failures } of calls) {
    text.sample("call_failures_total", { procedure }, failures);
  }
  text.metric("call_seconds_total", "counter", "Time from call to reply, by procedure.");
  for (const { procedure, milliseconds } of calls) {
    text.sample("call_seconds_total", { procedure }, milliseconds / 1000);
  }
  return text.toString();
}
