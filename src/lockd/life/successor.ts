import { argumentsOf } from "../../chassis/config/options.ts";
import { type SelfImage, withVariables } from "../../chassis/start/self.ts";
import { ownService, SYSTEMD_NOTIFY } from "../../chassis/systemd/unit.ts";
import { Watchdog } from "../../chassis/systemd/watchdog.ts";
import type { Daemon } from "../daemon/daemon.ts";
import { keep, PID_FILE, STORAGE_STARTER } from "../handover/kept_descriptors.ts";
import { ReExec } from "../handover/re_exec.ts";
import type { OwnerProcess } from "../lockspace/owner_watch.ts";
import type { DaemonExtension } from "../restart/state.ts";
import type { Built } from "./built.ts";
import type { Found } from "./found.ts";
import { configurationFault } from "../../chassis/start/configuration_fault.ts";
import { isTerminal } from "../../os/runtime.ts";
import { VIRTLOCKD } from "../identity/identity.ts";
import { LOCK_SETTINGS } from "../identity/settings.ts";
import { silentMountOf } from "../storage/file_reach.ts";

/** How this image ends in favour of another one. */
export interface Succession {
  readonly reExec: ReExec;
  /** Armed as long as nothing would be lost by a kill. */
  readonly watchdog: Watchdog;
  /** The service in systemd; undefined without it. */
  readonly unit: string | undefined;
}

/** Prepares for the next image; nothing is begun. */
export function prepareSuccession(found: Found, built: Built): Succession {
  const { parts: { sys, self, options, mistakes }, log, beginning, prepared, service, safety } = found;
  const { daemon, inherited, status } = built;
  const sound = () => safety.sound && allOurs(daemon);
  const watchdog = new Watchdog(prepared.loop, safety.manager, sound, "locks", log);
  const unit = service.notifyAddress === SYSTEMD_NOTIFY ? ownService(sys) : undefined;
  const reExec = new ReExec({
    daemon,
    // The next image has to know too what this one had to find out.
    self: {
      ...(mistakes.length === 0 ? self : withArguments(self, argumentsOf(options))),
      get env() {
        return withVariables(self.env, { ...service.variables, ...safety.variables });
      },
    },
    stateFile: beginning.stateFile,
    extension: () => extensionOf(found, built),
    configurationFault: () => configurationFaultIn(found),
    locks: inherited,
    leaveStore: (done) => {
      watchdog.hold();
      safety.leave(done);
    },
    watched: unit,
    stayed: () => {
      safety.stay(daemon);
      watchdog.release();
    },
    announce: (what) => what === "leaving" ? status.reloading() : status.ready(beginning.pid),
  });
  return { reExec, watchdog, unit };
}

/** Why another image could not take the configuration over; undefined when it could. */
function configurationFaultIn({ parts: { sys }, beginning: { context } }: Found): string | undefined {
  const { config } = context.paths;
  const silent = silentMountOf(sys, config, "wait");
  return silent === undefined
    ? configurationFault(VIRTLOCKD, LOCK_SETTINGS, context, isTerminal("stdin"))
    : `${config} cannot be read: ${silent} does not answer`;
}

/** Whether no lock is one of libvirt's daemon, which would end with the process. */
function allOurs({ table }: Daemon): boolean {
  return !table.resources().some(({ handle }) => handle.kind === "file" && handle.lock === "posix");
}

/** What the next image gets beyond libvirt's own fields. */
function extensionOf(
  { beginning, prepared, safety }: Found,
  { daemon, changedLogging }: Built,
): DaemonExtension {
  return {
    dying: daemon.reaper.dying,
    watched: watchedProcesses(daemon),
    released: [...daemon.table.parked.all()],
    ...endedOwners(daemon),
    ...hostsToFence(daemon),
    parked: daemon.guard.parked.map(({ fd }) => fd),
    kept: [
      ...keep(PID_FILE, prepared.pidFile?.fd),
      ...keep(STORAGE_STARTER, daemon.storage.handover),
      ...safety.kept,
    ],
    settings: { ...changedLogging(), timeout: daemon.idleTimer.seconds },
    cwd: beginning.cwd,
    statistics: daemon.metrics.snapshot(),
    lineage: daemon.lineage,
    ...triesOf(daemon),
    journal: safety.handover,
    notify: null,
  };
}

/** Owners that are gone while their locks wait for their last writes. */
function endedOwners({ reaper, sights }: Daemon): Pick<DaemonExtension, "ended"> {
  const ended = reaper.ended.map((owner) => {
    const sight = sights.of(owner.key);
    return sight === undefined ? owner : { ...owner, sight };
  });
  return ended.length === 0 ? {} : { ended };
}

/** Tries to get locks that were granted to nobody. */
export function triesOf({ cluster }: Pick<Daemon, "cluster">): Pick<DaemonExtension, "tries"> {
  const tries = cluster?.tries ?? [];
  return tries.length === 0 ? {} : { tries };
}

/** Hosts whose locks somebody has asked for. */
function hostsToFence({ cluster }: Daemon): Pick<DaemonExtension, "fencing"> {
  const fencing = cluster?.fencingWishes;
  return fencing === undefined ? {} : { fencing };
}

/** Those of holders that are being ended are handed over with them. */
function watchedProcesses({ watch, reaper }: Daemon): OwnerProcess[] {
  const dying = new Set(reaper.dying.map(({ key }) => key));
  return [...watch.processes].filter(({ key }) => !dying.has(key));
}

/** The next image is started with the arguments that were understood. */
function withArguments(self: SelfImage, args: readonly string[]): SelfImage {
  return { ...self, argv: [...self.base, ...args] };
}
