import { isTimeout, storageError, volumeExists } from "../model/storage_error.ts";
import type { Answer, Caller, PoolRef, StorageService, VolumeRef } from "../model/storage_service.ts";
import type { VolumeDefinition, VolumeType } from "../model/volume_definition.ts";
import { isReserved, reservedName } from "../volumes/new_file.ts";
import { type CapacityRule, parseVolume } from "../xml/volume_xml.ts";
import type { Core } from "./core.ts";
import { checkFlags, PREALLOCATE_METADATA, REFLINK, VOLUME_VALIDATE } from "./flags.ts";
import { attempting, done, refused } from "./outcome.ts";
import type { Pool } from "./pool.ts";
import { jobOptions } from "./job_work.ts";
import { runInPlace, whenActive } from "./pool_work.ts";
import { refresh } from "./refresh.ts";
import { validated } from "./validation.ts";
import { refuseHalf } from "./volume_changes.ts";
import { beginReading, type VolumeEntry } from "./volume_list.ts";
import { look, volumeIn, volumeRef } from "./volume_questions.ts";

/** The calls that make volumes. */
export function volumeCreation(core: Core): Pick<StorageService, "createVolume" | "createVolumeFrom"> {
  return {
    createVolume: (caller, pool, xml, flags, answer) => createVolume(core, caller, pool, xml, flags, answer),
    createVolumeFrom: (caller, pool, xml, source, flags, answer) =>
      createVolumeFrom(core, caller, pool, xml, source, flags, answer),
  };
}

/** What type of volume a format makes in a directory. */
function typeOf(format: string | undefined): VolumeType {
  return format === "dir" ? "dir" : format === "ploop" ? "ploop" : "file";
}

/** A definition as the volume that it will be. @throws RpcFailure for a name that none can have */
function placed(pool: Pool, definition: VolumeDefinition): VolumeDefinition {
  const { name, format } = definition;
  if (name.includes("/")) throw storageError("invalid", `volume name '${name}' cannot contain '/'`);
  // The next refresh would take it for one that a crash has left, and remove it.
  if (isReserved(name)) {
    throw storageError("invalid", `volume name '${name}' is reserved for volumes that are being made`);
  }
  const path = `${pool.definition.target.path}/${name}`;
  return { ...definition, type: typeOf(format), key: path, path };
}

function definitionOf(pool: Pool, xml: string, rule: CapacityRule): VolumeDefinition {
  return parseVolume(pool.definition, xml, rule);
}

/** Goes on with a pool that is up, when the XML is valid where that is asked for. */
function inPool(
  core: Core,
  ref: PoolRef,
  xml: string,
  flags: number,
  answer: Answer<VolumeRef>,
  go: (pool: Pool) => void,
): void {
  const wanted = (flags & VOLUME_VALIDATE) !== 0;
  validated(
    core,
    wanted,
    "storagevol.rng",
    xml,
    answer,
    () => whenActive(core, () => core.pools.byRef(ref), answer, go),
  );
}

function createVolume(
  core: Core,
  caller: Caller,
  ref: PoolRef,
  xml: string,
  flags: number,
  answer: Answer<VolumeRef>,
): void {
  attempting(answer, () => {
    checkFlags(flags, PREALLOCATE_METADATA | VOLUME_VALIDATE, "storageVolCreateXML");
    inPool(core, ref, xml, flags, answer, (pool) =>
      attempting(answer, () => {
        const definition = definitionOf(pool, xml, "optional-with-backing");
        if (pool.volumes.find(definition.name) !== undefined) throw volumeExists(definition.name);
        make(core, caller, "create", pool, placed(pool, definition), undefined, flags, answer);
      }));
  });
}

function createVolumeFrom(
  core: Core,
  caller: Caller,
  ref: PoolRef,
  xml: string,
  sourceRef: VolumeRef,
  flags: number,
  answer: Answer<VolumeRef>,
): void {
  attempting(answer, () => {
    checkFlags(flags, PREALLOCATE_METADATA | REFLINK | VOLUME_VALIDATE, "storageVolCreateXMLFrom");
    inPool(
      core,
      ref,
      xml,
      flags,
      answer,
      (pool) =>
        whenActive(core, () => core.pools.byName(sourceRef.pool), answer, (from) =>
          attempting(answer, () => {
            const source = volumeIn(from, sourceRef.name);
            const definition = definitionOf(pool, xml, "optional");
            refuseCopy(pool, definition, source);
            // Its size may have changed since it was looked at, and an upload may have come to its end.
            look(core, from, source, () =>
              attempting(answer, () => {
                refuseStopped(pool);
                refuseStopped(from);
                refuseCopy(pool, definition, source);
                refuseHalf(source);
                const sized = sizedAs(definition, source.definition);
                make(core, caller, "clone", pool, placed(pool, sized), { from, source }, flags, answer);
              }), (failure) => refused(answer, failure));
          })),
    );
  });
}

/** Nothing may be written where the storage of a pool was. @throws RpcFailure when it is not up any more */
function refuseStopped({ name, state }: Pool): void {
  if (state.kind !== "active") throw storageError("invalid", `storage pool '${name}' is not active`);
}

/** @throws RpcFailure when the name is taken, or somebody changes the source */
function refuseCopy(pool: Pool, { name }: VolumeDefinition, source: VolumeEntry): void {
  if (pool.volumes.find(name) !== undefined) {
    throw storageError("internal", `storage volume name '${name}' already in use.`);
  }
  const { definition, use } = source;
  if (use.kind === "made") {
    throw storageError("invalid", `volume '${definition.name}' is still being allocated.`);
  }
  if (use.kind === "changed") {
    throw storageError("invalid", `volume '${definition.name}' is still in use.`);
  }
}

/** A copy is never smaller than what it is a copy of. */
function sizedAs(definition: VolumeDefinition, source: VolumeDefinition): VolumeDefinition {
  const capacity = definition.capacity < source.capacity ? source.capacity : definition.capacity;
  return {
    ...definition,
    capacity,
    allocation: definition.allocationSaid ? definition.allocation : capacity,
  };
}

/** What a volume is made from. */
interface Original {
  readonly from: Pool;
  readonly source: VolumeEntry;
}

function make(
  core: Core,
  caller: Caller,
  kind: "create" | "clone",
  pool: Pool,
  volume: VolumeDefinition,
  original: Original | undefined,
  flags: number,
  answer: Answer<VolumeRef>,
): void {
  const reserved = reservedName(core.parts.host);
  const entry = pool.volumes.add(volume, reserved);
  const from = original?.from === pool ? undefined : original?.from;
  const job = core.jobs.begin({ kind, pool, volume: volume.name, from, caller });
  const over = original === undefined ? () => {} : beginReading(original.source);
  const args = {
    volume,
    reserved,
    input: original?.source.definition,
    preallocateMetadata: (flags & PREALLOCATE_METADATA) !== 0,
    reflink: (flags & REFLINK) !== 0,
    ...original === undefined ? {} : { from: original.from.place },
  };
  runInPlace(core, pool, core.operations.createVolume, args, { ...jobOptions(core, job), over }, (made) => {
    entry.definition = made;
    entry.use = { kind: "unused" };
    pool.use(made.allocation);
    done(answer, volumeRef(pool, made));
  }, (failure) => {
    pool.volumes.remove(entry);
    // Which of the two pools it is that does not answer is known when both were asked.
    if (from !== undefined && isTimeout(failure)) {
      for (const each of [pool, from]) if (each.state.kind === "active") refresh(core, each, () => {});
    }
    refused(answer, failure);
  });
}
