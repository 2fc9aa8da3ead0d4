import { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { backendOf } from "../backends/backends.ts";
import type { BuildMode } from "../backends/backend.ts";
import type { PoolDefinition } from "../model/pool_definition.ts";
import { plainDocumentError, storageError } from "../model/storage_error.ts";
import type { Answer, Caller, PoolRef, StorageService } from "../model/storage_service.ts";
import type { Listing } from "../operations/listing.ts";
import type { VolumeRows } from "../volumes/volume_rows.ts";
import { parsePool } from "../xml/pool_xml.ts";
import type { Core } from "./core.ts";
import {
  BUILD_NO_OVERWRITE,
  BUILD_OVERWRITE,
  checkBuildFlags,
  checkFlags,
  CREATE_BUILD,
  CREATE_BUILD_NO_OVERWRITE,
  CREATE_BUILD_OVERWRITE,
  DEFINE_VALIDATE,
} from "./flags.ts";
import { applyListing, rowsFor } from "./refresh.ts";
import { answered, attempt, attempting, done, refused } from "./outcome.ts";
import type { Pool } from "./pool.ts";
import { jobOptions } from "./job_work.ts";
import { listOptions, run, whenActive, whenSettled } from "./pool_work.ts";
import { validated } from "./validation.ts";

/** The calls that make pools, start and stop them, and forget them. */
export function poolLife(core: Core): Pick<
  StorageService,
  | "definePool"
  | "undefinePool"
  | "createPool"
  | "startPool"
  | "buildPool"
  | "destroyPool"
  | "deletePool"
> {
  return {
    definePool: (xml, flags, answer) => definePool(core, xml, flags, answer),
    undefinePool: (pool, answer) => undefinePool(core, pool, answer),
    createPool: (caller, xml, flags, answer) => createPool(core, caller, xml, flags, answer),
    startPool: (caller, pool, flags, answer) => startPool(core, caller, pool, flags, answer),
    buildPool: (caller, pool, flags, answer) => buildPool(core, caller, pool, flags, answer),
    destroyPool: (_caller, pool, answer) => destroyPool(core, pool, answer),
    deletePool: (_caller, pool, flags, answer) => deletePool(core, pool, flags, answer),
  };
}

function readDefinition(xml: string): PoolDefinition {
  const definition = parsePool(xml);
  if (definition.name.includes("\n")) throw plainDocumentError("invalid char in name: \n");
  backendOf(definition.type);
  return definition;
}

function definePool(core: Core, xml: string, flags: number, answer: Answer<PoolRef>): void {
  attempting(answer, () => {
    checkFlags(flags, DEFINE_VALIDATE, "storagePoolDefineXML");
    validated(core, (flags & DEFINE_VALIDATE) !== 0, "storagepool.rng", xml, answer, () => {
      const definition = readDefinition(xml);
      const { pool, isNew } = core.pools.place(definition);
      try {
        core.files.saveConfig(definition);
      } catch (error) {
        if (isNew) core.pools.remove(pool);
        throw error;
      }
      pool.define(definition);
      pool.persistent = true;
      pool.autostart = core.files.isAutostart(pool.name);
      core.tell(pool, "DEFINED");
      done(answer, pool.ref);
    });
  });
}

function undefinePool(core: Core, ref: PoolRef, answer: Answer<void>): void {
  whenSettled(core, () => core.pools.byRef(ref), answer, (pool) =>
    attempt(answer, () => {
      refuseActive(pool, "is still active");
      core.jobs.refuseUnderJob(pool);
      core.files.removeConfig(pool.name);
      core.pools.remove(pool);
      core.tell(pool, "UNDEFINED");
    }));
}

function refuseActive(pool: Pool, how: "is still active" | "is already active"): void {
  if (pool.state.kind === "active") throw storageError("invalid", `storage pool '${pool.name}' ${how}`);
}

/** How a pool is built before it is started; undefined: not at all. */
function buildModeOf(flags: number): BuildMode | undefined {
  if ((flags & CREATE_BUILD_OVERWRITE) !== 0) return "overwrite";
  if ((flags & CREATE_BUILD_NO_OVERWRITE) !== 0) return "no-overwrite";
  return (flags & CREATE_BUILD) !== 0 ? "plain" : undefined;
}

const CREATE_FLAGS = CREATE_BUILD | CREATE_BUILD_OVERWRITE | CREATE_BUILD_NO_OVERWRITE;

function createPool(
  core: Core,
  caller: Caller,
  xml: string,
  flags: number,
  answer: Answer<PoolRef>,
): void {
  attempting(answer, () => {
    checkFlags(flags, CREATE_FLAGS, "storagePoolCreateXML");
    const definition = readDefinition(xml);
    const { pool, isNew } = core.pools.place(definition);
    if (!isNew) {
      if (pool.state.kind === "active") {
        throw storageError("invalid", `pool is already active as '${pool.name}'`);
      }
      if (pool.state.kind === "changing") {
        throw storageError("invalid", `pool '${pool.name}' is starting up`);
      }
      // What it was defined as it is again when it is stopped.
      pool.pending ??= pool.definition;
      pool.definition = definition;
    }
    bringUp(core, caller, pool, buildModeOf(flags), answered(answer, () => pool.ref));
  });
}

function startPool(
  core: Core,
  caller: Caller,
  ref: PoolRef,
  flags: number,
  answer: Answer<void>,
): void {
  attempting(answer, () => {
    checkFlags(flags, CREATE_FLAGS, "storagePoolCreate");
    whenSettled(core, () => core.pools.byRef(ref), answer, (pool) =>
      attempting(answer, () => {
        backendOf(pool.definition.type);
        refuseActive(pool, "is already active");
        bringUp(core, caller, pool, buildModeOf(flags), answered(answer, () => undefined));
      }));
  });
}

/**
 * Starts a pool that is not up, and reads its list. Whoever asks for it meanwhile waits.
 *
 * @param ended gets why it could not be started
 */
export function bringUp(
  core: Core,
  caller: Caller,
  pool: Pool,
  build: BuildMode | undefined,
  ended: (failure: RpcFailure | undefined) => void,
): void {
  pool.change("inactive");
  const job = build === undefined
    ? undefined
    : core.jobs.begin({ kind: "build", pool, volume: undefined, caller });
  const rows = rowsFor(pool);
  const options = {
    ...job === undefined ? listOptions(core, pool, "start") : jobOptions(core, job),
    batch: (bytes: Uint8Array) => rows.add(bytes),
  };
  const { definition } = pool;
  try {
    // A daemon that comes after this one looks then whether something was mounted for the pool.
    core.files.saveState(definition, pool.sizes);
  } catch (error) {
    if (!(error instanceof RpcFailure)) throw error;
    if (job !== undefined) core.jobs.end(job);
    core.stopped(pool);
    return ended(error);
  }
  const request = { pool: definition, build, how: "start" as const, host: core.parts.host };
  run(core, core.operations.openPool, request, options, (listing) => {
    const failure = listing === undefined
      ? storageError("internal", `storage pool '${pool.name}' was not started`)
      : activate(core, pool, listing, rows);
    if (failure !== undefined) core.stopped(pool);
    ended(failure);
  }, (failure) => {
    core.stopped(pool);
    ended(failure);
  });
}

/** Everything of a pool is known. @returns why it is not up all the same */
export function activate(
  core: Core,
  pool: Pool,
  listing: Listing,
  rows: VolumeRows,
): RpcFailure | undefined {
  try {
    core.files.saveState(pool.definition, pool.sizes);
  } catch (error) {
    if (!(error instanceof RpcFailure)) throw error;
    return error;
  }
  applyListing(core, pool, listing, rows, pool.volumes.beginRefresh());
  pool.activate(listing.identity);
  core.tell(pool, "STARTED");
  return undefined;
}

/** What is done when something with a pool that is not up has come to its end, well or not. */
function atRest(
  core: Core,
  pool: Pool,
  event: "CREATED" | "DELETED",
  answer: Answer<void>,
): readonly [done: () => void, failed: (failure: RpcFailure) => void] {
  // It may have been defined anew meanwhile.
  const rest = () => pool.deactivate();
  return [() => {
    rest();
    core.tell(pool, event);
    done(answer, undefined);
  }, (failure) => {
    rest();
    refused(answer, failure);
  }];
}

function buildPool(
  core: Core,
  caller: Caller,
  ref: PoolRef,
  flags: number,
  answer: Answer<void>,
): void {
  whenSettled(core, () => core.pools.byRef(ref), answer, (pool) =>
    attempting(answer, () => {
      backendOf(pool.definition.type);
      refuseActive(pool, "is already active");
      checkBuildFlags(flags);
      const mode = (flags & BUILD_OVERWRITE) !== 0
        ? "overwrite"
        : (flags & BUILD_NO_OVERWRITE) !== 0
        ? "no-overwrite"
        : "plain";
      pool.change("inactive");
      const job = core.jobs.begin({ kind: "build", pool, volume: undefined, caller });
      const request = { pool: pool.definition, mode } as const;
      const ended = atRest(core, pool, "CREATED", answer);
      run(core, core.operations.buildPool, request, jobOptions(core, job), ...ended);
    }));
}

function destroyPool(core: Core, ref: PoolRef, answer: Answer<void>): void {
  whenActive(core, () => core.pools.byRef(ref), answer, (pool) =>
    attempting(answer, () => {
      core.jobs.refuseUnderJob(pool);
      const { state } = pool;
      pool.change("active");
      const options = listOptions(core, pool, "start");
      const stop = () =>
        run(core, core.operations.stopPool, pool.definition, options, () => {
          core.stopped(pool);
          core.tell(pool, "STOPPED");
          done(answer, undefined);
        }, (failure) => {
          pool.restore(state);
          refused(answer, failure);
        });
      pool.whenQuiet(stop);
    }));
}

function deletePool(core: Core, ref: PoolRef, flags: number, answer: Answer<void>): void {
  whenSettled(core, () => core.pools.byRef(ref), answer, (pool) =>
    attempting(answer, () => {
      backendOf(pool.definition.type);
      refuseActive(pool, "is still active");
      core.jobs.refuseUnderJob(pool);
      checkFlags(flags, 0, "virStorageBackendDeleteLocal");
      pool.change("inactive");
      const options = listOptions(core, pool, "start");
      const ended = atRest(core, pool, "DELETED", answer);
      run(core, core.operations.removePool, pool.definition, options, ...ended);
    }));
}
