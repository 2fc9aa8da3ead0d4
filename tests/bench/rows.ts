import type { Row } from "./row.ts";
import { clusterRow } from "./rows/cluster.ts";
import { clusterManyRow } from "./rows/cluster_many.ts";
import { clusterReturnRow } from "./rows/cluster_return.ts";
import { echoRow } from "./rows/echo.ts";
import { flatnessRow } from "./rows/flatness.ts";
import { hostileRow } from "./rows/hostile.ts";
import { idleConnectionsRows } from "./rows/idle_connections.ts";
import { idleCpuRow } from "./rows/idle_cpu.ts";
import { manyGuestsRow, simulatedLocksRow } from "./rows/many_guests.ts";
import { reExecRows } from "./rows/re_exec.ts";
import { releaseRow } from "./rows/release.ts";
import { busyRows, speedRows } from "./rows/speed.ts";
import { slicesRow } from "./rows/slices.ts";
import { startupRow } from "./rows/startup.ts";
import { storageRow } from "./rows/storage.ts";
import { storagePoolsRow } from "./rows/storage_pools.ts";
import { storeRow } from "./rows/store.ts";

/** Everything that is measured, in the order of the table. */
export const rows: readonly Row[] = [
  echoRow,
  ...speedRows,
  releaseRow,
  ...busyRows,
  slicesRow,
  ...idleConnectionsRows,
  flatnessRow,
  manyGuestsRow,
  simulatedLocksRow,
  startupRow,
  idleCpuRow,
  ...reExecRows,
  storeRow,
  hostileRow,
  clusterRow,
  clusterManyRow,
  clusterReturnRow,
  storageRow,
  storagePoolsRow,
];
