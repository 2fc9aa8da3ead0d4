import { text } from "../../base/shape.ts";
import { exporterCommandOf } from "../../chassis/cli/exporter.ts";
import { type AskMetrics, metricsCommandOf } from "../../chassis/cli/metrics.ts";
import { VIRTSTORAGED } from "../identity/identity.ts";
import { StatusProcedure } from "../wire/status_protocol.ts";
import { askAt } from "./ask.ts";

const askMetrics: AskMetrics = ({ sys }, socket, timeout) =>
  askAt(sys, socket, { procedure: StatusProcedure.GET_METRICS, shape: text }, timeout);

/** `virtstoraged metrics`: the metrics once. */
export const metricsCommand = metricsCommandOf(VIRTSTORAGED, askMetrics);

/** `virtstoraged exporter`: the metrics over HTTP. */
export const exporterCommand = exporterCommandOf(VIRTSTORAGED, askMetrics);
