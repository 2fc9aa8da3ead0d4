import { text } from "../../base/shape.ts";
import { exporterCommandOf } from "../../chassis/cli/exporter.ts";
import { type AskMetrics, metricsCommandOf } from "../../chassis/cli/metrics.ts";
import { VIRTLOCKD } from "../identity/identity.ts";
import { StatusProcedure } from "../wire/status_protocol.ts";
import { AdminConnection } from "./admin_connection.ts";

const askMetrics: AskMetrics = ({ sys }, socket, timeout) => {
  using daemon = AdminConnection.connect(sys, socket, timeout);
  return daemon.document(StatusProcedure.GET_METRICS, text);
};

/** `virtlockd metrics`: the metrics once. */
export const metricsCommand = metricsCommandOf(VIRTLOCKD, askMetrics);

/** `virtlockd exporter`: the metrics over HTTP. */
export const exporterCommand = exporterCommandOf(VIRTLOCKD, askMetrics);
