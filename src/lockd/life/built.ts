import { counted } from "../../chassis/log/counted.ts";
import { ServiceStatus } from "../../chassis/systemd/service_status.ts";
import { Daemon } from "../daemon/daemon.ts";
import { InheritedLocks } from "../daemon/inherited_locks.ts";
import { saveLockspaces } from "../daemon/kept_lockspaces.ts";
import { RegisteredLockspaces } from "../daemon/registered_lockspaces.ts";
import { keptDescriptor, STORAGE_STARTER } from "../handover/kept_descriptors.ts";
import { lockPaths } from "../identity/lock_paths.ts";
import { newLineage } from "../restart/new_lineage.ts";
import type { RestartState } from "../restart/state.ts";
import { FENCE_SOCKET, LINK_SOCKET, MEMBERSHIP_FILE } from "../cluster/cluster.ts";
import { DEPUTY_SOCKET } from "../storage/deputy_starter.ts";
import type { Found } from "./found.ts";

/** The daemon, with nothing in it yet. */
export interface Built {
  readonly daemon: Daemon;
  /** State of an earlier life; undefined when there was none. */
  readonly state: RestartState | undefined;
  /** Locks in the form in which libvirt's daemon has its own. */
  readonly inherited: InheritedLocks;
  readonly registered: RegisteredLockspaces;
  /** What the service manager is told. */
  readonly status: ServiceStatus;
  /** Log settings that differ from the configuration, because an administrator has changed them since. */
  readonly changedLogging: () => { readonly logOutputs?: string; readonly logFilters?: string };
}

/** Makes the parts. @throws StartError */
export function build({ parts, logs, log, beginning, prepared, safety }: Found): Built {
  const { sys, self, options } = parts;
  const { loop, ledger } = prepared;
  const { handed, loaded, context: { paths, uid } } = beginning;
  const state = handed ?? safety.recovered;
  // The status is told of by the daemon, which may have something to tell while it is being made.
  let changed = () => {};
  const registered = new RegisteredLockspaces(sys, lockPaths(paths).lockspaces);
  const { recorder } = safety;
  // Without a journal the next daemon may go on with one that does not know what this one grants.
  const { lineage, tries } = recorder === undefined ? {} : state?.extension ?? {};
  const daemon = new Daemon({
    sys,
    loop,
    ledger,
    logs,
    uid,
    settings: loaded.settings,
    configurationFile: paths.config,
    idleTimeout: state?.extension?.settings.timeout ?? options.timeout ?? 0,
    recorder,
    program: { path: self.path, argv: self.base, env: self.env },
    storageStarter: keptDescriptor(state, STORAGE_STARTER),
    deputySocket: `${paths.runDir}/${DEPUTY_SOCKET}`,
    linkSocket: `${paths.runDir}/${LINK_SOCKET}`,
    fenceSocket: `${paths.runDir}/${FENCE_SOCKET}`,
    lineage: lineage ?? newLineage(),
    tries: lineage === undefined ? [] : tries ?? [],
    triesChanged: () => safety.carriedChanged(),
    membershipFile: `${paths.runDir}/${MEMBERSHIP_FILE}`,
    changed: () => changed(),
    lockspacePlaced: () => saveLockspaces(registered, daemon),
  });
  const status = new ServiceStatus(sys, loop, safety.manager, () => {
    return `${counted(daemon.clientCount, "client")}, ${counted(daemon.table.resourceCount, "lock")}`;
  });
  changed = () => status.changed();
  const inherited = new InheritedLocks({ sys, loop, table: daemon.table, storage: daemon.storage, log });
  const configured = { outputs: logs.outputsText(), filters: logs.filtersText() };
  const changedLogging = () => ({
    ...(logs.outputsText() === configured.outputs ? {} : { logOutputs: logs.outputsText() }),
    ...(logs.filtersText() === configured.filters ? {} : { logFilters: logs.filtersSetting() }),
  });
  return { daemon, state, inherited, registered, status, changedLogging };
}
