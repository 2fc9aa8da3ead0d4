import { adminProgram } from "../../chassis/admin/admin_program.ts";
import { VERSION } from "../../chassis/config/build_config.ts";
import type { LogSystem } from "../../chassis/log/log_system.ts";
import type { Program } from "../../chassis/rpc/program.ts";
import type { RpcServer } from "../../chassis/rpc/server.ts";
import type { IdleTimer } from "../../chassis/start/idle_timer.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { processState } from "../../os/process_state.ts";
import type { Sys } from "../../os/sys.ts";
import type { ClusterSettings } from "../identity/cluster_settings.ts";
import { settingsInUse } from "../identity/cluster_settings_in_use.ts";
import { Introspection } from "../reporting/introspection.ts";
import type { Metrics } from "../reporting/metrics.ts";
import type { Sections } from "../status/status_document.ts";
import { statusProgram } from "../status/status_program.ts";
import type { Storage } from "../storage/storage.ts";
import type { LockCore } from "./lock_core.ts";

/** What an administrator is told of, and may change. */
export interface AdminParts {
  readonly sys: Sys;
  readonly ledger: DescriptorLedger;
  readonly logs: LogSystem;
  readonly metrics: Metrics;
  readonly core: LockCore;
  /** Where the settings were read from. */
  readonly configurationFile: string;
  /** In the order of the admin protocol. */
  readonly servers: () => readonly RpcServer[];
  readonly idleTimer: () => IdleTimer;
  /** How crash safety is; nothing before it has begun. */
  readonly crashSections: () => Omit<Sections, "storage">;
  /** What the configuration says of the cluster, as long as this process lives. */
  readonly clusterSettings: ClusterSettings;
  /** Ends the daemon. */
  readonly shutdown: () => void;
}

/** The programs on the admin socket: libvirt's, and the daemon's own. */
export function adminPrograms(
  { sys, ledger, logs, metrics, core, servers, idleTimer, ...parts }: AdminParts,
): Program[] {
  const { table, reaper, settler, manualRelease, storage, cluster } = core;
  const introspection = new Introspection({
    sys,
    version: VERSION,
    configurationFile: parts.configurationFile,
    ledger,
    table,
    reaper,
    settler,
    servers,
    logs,
    metrics,
    idleTimeout: () => idleTimer().seconds,
    storage: () => storage.status,
    sections: () => ({
      storage: storageSection(storage),
      ...parts.crashSections(),
      ...cluster === undefined
        ? {}
        : { cluster: { ...cluster.status, settings: settingsInUse(parts.clusterSettings) } },
    }),
    now: () => Date.now(),
  });
  const administered = {
    servers,
    logs,
    setIdleTimeout: (seconds: number) => {
      idleTimer().seconds = seconds;
    },
    // The journal keeps the state for the next start in any case.
    shutdown: parts.shutdown,
    userName: (uid: number) => sys.userName(uid),
    groupName: (gid: number) => sys.groupName(gid),
  };
  return [
    adminProgram(administered, VERSION),
    statusProgram({
      table,
      reaper,
      stopped: (pid) => processState(sys, pid)?.stopped === true,
      manualRelease,
      cluster,
      servers,
      status: () => introspection.status(),
      metrics: () => introspection.metrics(),
    }),
  ];
}

/** Mounts that have, or had, a helper process, with how they answer. */
function storageSection({ status }: Storage): Sections["storage"] {
  return Object.fromEntries(
    status.flatMap(({ mount, state }) => mount === undefined ? [] : [[mount.point, state]]),
  );
}
