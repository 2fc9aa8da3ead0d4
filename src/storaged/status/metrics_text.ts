import { PrometheusText } from "../../chassis/metrics/prometheus_text.ts";
import type { CallCount } from "./call_counts.ts";
import type { JobDocument, StatusDocument } from "./documents.ts";

const PREFIX = "virtstoraged_";

/** All metrics in Prometheus' text format. docs/storage.md says what they are for. */
export function metricsText(
  { version, started, servers, streams, pools, helpers }: StatusDocument,
  jobs: readonly JobDocument[],
  calls: readonly CallCount[],
): string {
  const text = new PrometheusText();
  text.metric(`${PREFIX}info`, "gauge", "Version of the daemon.");
  text.sample(`${PREFIX}info`, { version }, 1);
  text.single(
    `${PREFIX}start_time_seconds`,
    "gauge",
    "When the daemon was started, in Unix seconds.",
    started / 1000,
  );
  text.metric(`${PREFIX}clients`, "gauge", "Connected clients by server.");
  for (const { name, clients } of servers) text.sample(`${PREFIX}clients`, { server: name }, clients);
  text.single(`${PREFIX}streams`, "gauge", "Volumes that are being sent or received.", streams);
  text.metric(`${PREFIX}pools`, "gauge", "Pools by whether they are active.");
  text.sample(`${PREFIX}pools`, { state: "active" }, pools.active);
  text.sample(`${PREFIX}pools`, { state: "inactive" }, pools.inactive);
  text.metric(`${PREFIX}jobs`, "gauge", "Jobs under way by how they are.");
  for (const state of ["waiting", "running", "hung"] as const) {
    text.sample(`${PREFIX}jobs`, { state }, jobs.filter((job) => job.state === state).length);
  }
  text.single(`${PREFIX}helpers`, "gauge", "Helper processes.", helpers);
  text.metric(`${PREFIX}calls_total`, "counter", "Calls of clients by procedure.");
  for (const { procedure, calls: count } of calls) text.sample(`${PREFIX}calls_total`, { procedure }, count);
  text.metric(`${PREFIX}call_failures_total`, "counter", "Calls that were refused, by procedure.");
  for (const { procedure, failures } of calls) {
    text.sample(`${PREFIX}call_failures_total`, { procedure }, failures);
  }
  text.metric(`${PREFIX}call_seconds_total`, "counter", "Time from call to reply, by procedure.");
  for (const { procedure, milliseconds } of calls) {
    text.sample(`${PREFIX}call_seconds_total`, { procedure }, milliseconds / 1000);
  }
  return text.toString();
}
