import { backendOf, backendTypes, hasBackend } from "../backends/backends.ts";
import { poolType } from "../model/pool_types.ts";
import { storageError } from "../model/storage_error.ts";
import type { StorageService } from "../model/storage_service.ts";
import { formatCapabilities, formatPoolCapabilities } from "../xml/capabilities_xml.ts";
import { parseSource } from "../xml/pool_source_xml.ts";
import { Core, type CoreParts } from "./core.ts";
import { checkFlags } from "./flags.ts";
import { loadPools, reloadPools } from "./load.ts";
import { attempt, attempting, done, refused } from "./outcome.ts";
import { poolLife } from "./pool_life.ts";
import { poolLookups, poolQuestions } from "./pool_lookups.ts";
import { run } from "./pool_work.ts";
import { refreshCalls } from "./refresh.ts";
import { volumeChanges } from "./volume_changes.ts";
import { volumeCreation } from "./volume_creation.ts";
import { volumeLookups, volumeQuestions } from "./volume_questions.ts";
import { volumeStreams } from "./volume_streams.ts";

/** The calls that are about no pool in particular. */
function generalCalls(core: Core): Pick<
  StorageService,
  "findPoolSources" | "poolCapabilities" | "capabilities"
> {
  return {
    findPoolSources: (_caller, type, spec, flags, answer) =>
      attempting(answer, () => {
        const kind = poolType(type);
        if (kind === undefined) throw storageError("internal", `unknown storage pool type ${type}`);
        if (backendOf(type).findSources === undefined) {
          throw storageError("no-support", `pool type '${type}' does not support source discovery`);
        }
        checkFlags(flags, 0, "virStorageBackendFileSystemNetFindPoolSources");
        // A server that does not answer must not keep whoever asks another one.
        const hosts = spec === undefined ? [] : parseSource(kind, spec).hosts.map(({ name }) => name);
        const place = ["sources of", type, ...hosts].join(" ");
        const options = { place, limit: core.parts.settings().startLimit };
        const args = spec === undefined ? { type } : { type, spec };
        run(core, core.operations.findSources, args, options, (xml) =>
          done(answer, xml), (failure) =>
          refused(answer, failure));
      }),
    poolCapabilities: (flags, answer) =>
      attempt(answer, () => {
        checkFlags(flags, 0, "storageConnectGetStoragePoolCapabilities");
        return formatPoolCapabilities(hasBackend);
      }),
    capabilities: (answer) => attempt(answer, () => formatCapabilities(backendTypes())),
  };
}

/**
 * The storage core: takes the pools of this host over, if nobody else serves them, and serves them.
 *
 * Needs nothing of storage in the daemon's own process but the files of pools in /etc and /run.
 */
export function storageCore(parts: CoreParts): StorageService {
  const core = new Core(parts);
  let loaded = false;
  /** @returns who else serves the pools */
  const takeOver = (): string | undefined => {
    if (loaded) return undefined;
    const other = core.files.acquire(parts.sys.pid());
    if (other !== undefined) return other;
    loaded = true;
    loadPools(core);
    return undefined;
  };
  const life = {
    open: (answer: Parameters<StorageService["open"]>[0]) =>
      attempt(answer, () => {
        const other = takeOver();
        if (other === undefined) return;
        throw storageError(
          "invalid",
          `the storage pools of this host are served by another daemon (${other})`,
        );
      }),
    cancelJob: (id: number) => core.jobs.cancel(id),
    callerGone: (client: string) => core.jobs.callerGone(client),
    reload: () => {
      if (loaded) reloadPools(core);
    },
    close: () => {
      parts.workers.close();
      core.files.release();
    },
  };
  life.open((outcome) => {
    if (outcome.kind === "refused") parts.log.error(outcome.failure.message);
  });
  return {
    ...poolLookups(core),
    ...poolQuestions(core),
    ...poolLife(core),
    ...refreshCalls(core),
    ...generalCalls(core),
    ...volumeLookups(core),
    ...volumeQuestions(core),
    ...volumeCreation(core),
    ...volumeChanges(core),
    ...volumeStreams(core),
    ...life,
    get jobs() {
      return core.jobs.all;
    },
    get hungPools() {
      return core.pools.all.filter(({ answers }) => !answers).map(({ name }) => name);
    },
  };
}
