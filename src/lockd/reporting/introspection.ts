import type { HolderReaper } from "../lockspace/holder_reaper.ts";
import type { Lockspace } from "../lockspace/lockspace.ts";
import type { Settler } from "../lockspace/settler.ts";
import type { LockTable } from "../lockspace/lock_table.ts";
import type { LogSystem } from "../../chassis/log/log_system.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { emptyStatus, type Sys } from "../../os/sys.ts";
import type { LockspaceEntry, Sections, StatusDocument, StorageEntry } from "../status/status_document.ts";
import type { StorageStatus } from "../storage/storage_queue.ts";
import type { RpcServer } from "../../chassis/rpc/server.ts";
import { type LockTally, tallyLocks } from "./lock_tally.ts";
import type { Metrics } from "./metrics.ts";
import { metricsText } from "./metrics_text.ts";

/** How many lock directories the status names: it has to fit into one answer. */
const MOST_LOCKSPACES = 1000;

/** What the daemon tells about itself. */
export interface IntrospectionParts {
  readonly sys: Pick<Sys, "pid" | "stat" | "fileLimit" | "monotonic">;
  readonly version: string;
  readonly configurationFile: string;
  readonly ledger: Pick<DescriptorLedger, "size">;
  readonly table: Pick<LockTable, "lockspaces">;
  readonly reaper: Pick<HolderReaper, "dying">;
  readonly settler: Pick<Settler, "size">;
  readonly servers: () => readonly Pick<RpcServer, "name" | "clients" | "limits">[];
  readonly logs: Pick<LogSystem, "level" | "filtersText" | "outputsText">;
  readonly metrics: Metrics;
  /** Seconds, 0: never. */
  readonly idleTimeout: () => number;
  /** State of the parts that not every daemon has, by name. */
  readonly sections: () => Sections;
  /** The places that may hang. */
  readonly storage: () => readonly Pick<StorageStatus, "mount" | "state" | "waiting" | "since">[];
  /** Unix milliseconds. */
  readonly now: () => number;
}

function lockspaceEntry({ path, origin, place }: Lockspace): LockspaceEntry {
  if (place === undefined) return { path, origin };
  const { source, type, point } = place;
  return { path, origin, mount: { source, type, point } };
}

/** Answers what the status program asks. Made up at each question: nothing is kept for it. */
export class Introspection {
  readonly #parts: IntrospectionParts;

  constructor(parts: IntrospectionParts) {
    this.#parts = parts;
  }

  /** How the daemon is doing. */
  status(): StatusDocument {
    return this.#status(tallyLocks(this.#parts.table));
  }

  /** All metrics in Prometheus' text format. */
  metrics(): string {
    const tally = tallyLocks(this.#parts.table);
    return metricsText(this.#parts.metrics, this.#status(tally), tally);
  }

  #status(tally: LockTally): StatusDocument {
    const {
      sys,
      version,
      configurationFile,
      table,
      servers,
      reaper,
      settler,
      logs,
      metrics,
      idleTimeout,
      storage,
      sections,
      now,
    } = this.#parts;
    const limit = sys.fileLimit();
    const uptime = Math.max(0, Math.floor((now() - metrics.started) / 1000));
    const timeout = idleTimeout();
    return {
      version,
      pid: sys.pid(),
      configurationFile,
      startedMs: metrics.started,
      countingSinceMs: metrics.counting,
      started: metrics.started,
      uptimeSeconds: uptime,
      uptime,
      reExecs: metrics.counts.reExecs,
      reExecFailures: metrics.counts.reExecFailures,
      ...metrics.lastReExecFailure === undefined ? {} : { lastReExecFailure: metrics.lastReExecFailure },
      crashes: metrics.counts.crashes,
      restarts: metrics.counts.restarts,
      recoveredLocks: metrics.counts.recovered,
      lostLocks: metrics.counts.lost,
      servers: servers().map(({ name, clients, limits }) => ({
        name,
        clients: clients.size,
        clientsMax: limits.maxClients,
      })),
      locks: {
        exclusive: tally.exclusive,
        shared: tally.shared,
        lockspaces: tally.lockspaces.size,
        holders: tally.holders,
        dying: reaper.dying.length,
        settling: settler.size,
        doubtful: tally.doubtful,
        lost: tally.lost,
        posix: tally.posix,
      },
      lockspaces: [...table.lockspaces.values()].filter(({ path }) => path !== "").slice(0, MOST_LOCKSPACES)
        .map(lockspaceEntry),
      descriptors: { open: this.#openDescriptors(), limit: typeof limit === "number" ? 0 : limit[0] },
      idleTimeoutSeconds: timeout,
      idleTimeout: timeout,
      storage: storage().flatMap(({ mount, state, waiting, since }): StorageEntry[] =>
        mount === undefined ? [] : [{
          mount: mount.point,
          state,
          waiting,
          ...since === undefined ? {} : { busyMs: Math.max(0, sys.monotonic() - since) },
        }]
      ),
      logging: { level: logs.level, filters: logs.filtersText().trim(), outputs: logs.outputsText() },
      sections: sections(),
    };
  }

  /**
   * Since Linux 6.2 the size of /proc/self/fd is the number of open descriptors; before, those of the ledger
   * are counted.
   */
  #openDescriptors(): number {
    const status = emptyStatus();
    const { sys, ledger } = this.#parts;
    return sys.stat("/proc/self/fd", status) === 0 && status.size > 0 ? status.size : ledger.size;
  }
}
