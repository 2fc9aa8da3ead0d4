import { reload } from "../../chassis/start/reload.ts";
import { watchSignals } from "../../chassis/start/signals.ts";
import { SocketWatch } from "../../chassis/start/socket_watch.ts";
import { readConfiguration } from "../../chassis/start/start.ts";
import { StartPause } from "../../chassis/start/start_pause.ts";
import { WaitingSettings } from "../../chassis/start/waiting_settings.ts";
import { F_UNLCK } from "../../os/constants.ts";
import { isTerminal } from "../../os/runtime.ts";
import { appliedTo, TAKEN_BY_RELOAD } from "../daemon/applied_settings.ts";
import { AwaitedLocks } from "../daemon/awaited_locks.ts";
import { reloadWhenReadable } from "../daemon/reload_when_readable.ts";
import type { Daemon } from "../daemon/daemon.ts";
import { learnStore } from "../daemon/systemctl.ts";
import { ownerKey } from "../lockspace/owner.ts";
import { LOCK_SETTINGS } from "../identity/settings.ts";
import type { Built } from "./built.ts";
import type { Found } from "./found.ts";
import { type Succession, triesOf } from "./successor.ts";
import type { TakenOver } from "./take_over.ts";

/** Heeds signals, which come from the event loop and so not before it runs. @throws SystemError */
export function heedSignals(
  { parts: { sys }, logs, beginning: { pid, context, loaded }, prepared: { loop, ledger }, safety }: Found,
  { daemon, status }: Built,
  { reExec }: Succession,
): void {
  const waiting = new WaitingSettings(loaded.settings, TAKEN_BY_RELOAD);
  watchSignals(sys, loop, ledger, {
    reExec: () => reExec.request(),
    reload: () => {
      status.reloading();
      const read = () => readConfiguration(context, LOCK_SETTINGS, isTerminal("stdin"));
      const takeOver = () => reload(logs, daemon.log, read, appliedTo(daemon), waiting);
      reloadWhenReadable(daemon, context.paths.config, takeOver, () => {
        status.ready(pid);
        safety.look();
      });
    },
    terminate: () => {
      status.stopping();
      daemon.shutdown();
    },
  });
}

/**
 * From here on what happens is recorded, and then clients are served. What changes because of an earlier life
 * comes in between: the owners that are gone are freed with a record of it, and before anybody asks.
 *
 * @param unfinished nothing of the start is undone any more
 * @throws StartError when nothing can be recorded
 */
export function begin(
  found: Found,
  { daemon, changedLogging }: Built,
  { dead }: TakenOver,
  { unit }: Succession,
  unfinished: (() => void)[],
): void {
  const { parts: { sys, self }, beginning: { handed }, prepared: { loop, ledger }, safety } = found;
  const ended = handed?.extension?.ended ?? [];
  for (const { key, pid, sight } of ended) if (sight !== undefined) daemon.sights.restore(key, pid, sight);
  if (handed === undefined) giveLeasesBack(daemon);
  safety.begin(
    daemon,
    () => ({
      limits: daemon.servers.map(({ limits }) => ({ ...limits })),
      settings: changedLogging(),
      statistics: daemon.metrics.snapshot(),
      lineage: daemon.lineage,
      ...triesOf(daemon),
    }),
    unit === undefined ? undefined : (done) => learnStore(daemon, self.env, unit, done),
    [...dead, ...ended],
  );
  resumeOwners(daemon);
  new SocketWatch({
    sys,
    loop,
    ledger,
    log: daemon.log,
    servers: daemon.servers,
    replaced: () => safety.listening(daemon),
  });
  const wishes = handed?.extension?.fencing;
  if (wishes !== undefined) daemon.cluster?.resumeFencing(wishes);
  daemon.cluster?.begin();
  // Not before it is known which of these other hosts lock too, by whatever name.
  daemon.table.resumeHandOvers();
  daemon.start();
  unfinished.length = 0;
}

/** Tells everybody who waits for the start that it has succeeded, and goes on with what could wait. */
export function announce(
  { parts: { sys, report }, log, beginning: { pid, context: { paths } }, prepared: { loop } }: Found,
  { daemon, status }: Built,
  { watchdog }: Succession,
): void {
  new StartPause(sys, paths.startFailures).succeeded();
  status.ready(pid);
  watchdog.start();
  report.ready();
  new AwaitedLocks({
    sys,
    loop,
    table: daemon.table,
    storage: daemon.storage,
    log,
    found: (resource, fd, identity) => daemon.cluster?.found(resource, fd, identity),
  }).begin();
}

/**
 * A daemon that was killed in that very moment may have left a lease, and who opens the file next would wait
 * for it.
 */
function giveLeasesBack({ sys, table }: Daemon): void {
  for (const { handle, lockspace } of table.resources()) {
    if (lockspace === "" && handle.kind === "file") sys.lease(handle.fd, F_UNLCK);
  }
}

/** Goes on with what the owners of an earlier life write. */
function resumeOwners({ table, sights }: Daemon): void {
  const now = Date.now();
  for (const key of table.owners) {
    const granted = table.ownedBy(key).flatMap(({ holdings }) => holdings).filter(({ owner }) =>
      ownerKey(owner) === key
    );
    sights.resume(key, Math.min(...granted.map(({ since }) => now - since)));
  }
}
