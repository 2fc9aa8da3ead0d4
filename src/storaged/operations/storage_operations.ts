import type { StorageSys } from "../../os/storage_sys.ts";
import { backendOf } from "../backends/backends.ts";
import type { BuildMode } from "../backends/backend.ts";
import { directoryOf } from "../backends/pool_directory.ts";
import type { PoolDefinition } from "../model/pool_definition.ts";
import { storageError } from "../model/storage_error.ts";
import type { VolumeDefinition } from "../model/volume_definition.ts";
import { deleteVolume, type ResizeRequest, resizeVolume, wipeVolume } from "../volumes/change_volume.ts";
import { type CreateRequest, createVolume } from "../volumes/create_volume.ts";
import { type AtPlace, atPlace, type OpenPlace, type Place } from "../volumes/place.ts";
import { receiveVolume, sendVolume, type TransferRequest } from "../volumes/transfer.ts";
import { VolumeReader } from "../volumes/volume_reader.ts";
import { failureOf } from "../work/work_message.ts";
import type { Operation, WorkContext } from "../work/operation.ts";
import { type Listing, listPlace } from "./listing.ts";
import { validate } from "./validate.ts";

/** How a pool is brought up. */
export interface OpenPoolRequest {
  readonly pool: PoolDefinition;
  /** Undefined: it is not built. */
  readonly build: BuildMode | undefined;
  /** "adopt": it is only looked whether it is up already. */
  readonly how: "start" | "adopt";
  /** Tag of this host in reserved names. */
  readonly host: string;
}

/** A place, and what to do there. */
type InPlace<Request> = Request & { readonly place: Place };

/** Everything that is done in helper processes. */
export type StorageOperations = ReturnType<typeof storageOperations>;

function operation<A, R>(name: string, run: (args: A, context: WorkContext) => R): Operation<A, R> {
  return { name, run };
}

/**
 * The operations. The daemon asks for them by name, a helper runs them.
 *
 * @param storage bound when it is used first, which is in a helper
 */
export function storageOperations(storage: StorageSys) {
  return { ...poolOperations(storage), ...volumeOperations(storage), ...transferOperations(storage) };
}

/** An operation in a place. */
function inPlace<Request, Result>(
  storage: StorageSys,
  name: string,
  work: (request: Request, context: WorkContext, place: OpenPlace) => Result,
): Operation<InPlace<Request>, AtPlace<Result>> {
  return operation(
    name,
    (request, context) =>
      atPlace(context.sys, storage, request.place, (place) => work(request, context, place)),
  );
}

/** Those of pools, and of documents. */
function poolOperations(storage: StorageSys) {
  return {
    openPool: operation<OpenPoolRequest, Listing | undefined>(
      "open-pool",
      (request, context) => openPool(context, storage, request),
    ),
    refreshPool: inPlace<{ host: string }, Listing>(
      storage,
      "refresh-pool",
      ({ host }, context, place) => listPlace(context, storage, place, host),
    ),
    buildPool: operation<{ pool: PoolDefinition; mode: BuildMode }, void>(
      "build-pool",
      ({ pool, mode }, context) => backendOf(pool.type).build(context, storage, pool, mode),
    ),
    stopPool: operation<PoolDefinition, void>(
      "stop-pool",
      (pool, context) => backendOf(pool.type).stop(context, storage, pool),
    ),
    removePool: operation<PoolDefinition, void>(
      "remove-pool",
      (pool, context) => backendOf(pool.type).remove(context, storage, pool),
    ),
    findSources: operation<{ type: string; spec?: string }, string>(
      "find-sources",
      ({ type, spec }, context) => {
        const { findSources } = backendOf(type);
        if (findSources !== undefined) return findSources(context, spec);
        throw storageError("no-support", `pool type '${type}' does not support source discovery`);
      },
    ),
    validate: operation<{ schema: string; xml: string }, void>(
      "validate",
      ({ schema, xml }, context) => validate(context, schema, xml),
    ),
  };
}

/** Those of volumes. */
function volumeOperations(storage: StorageSys) {
  return {
    createVolume: inPlace<CreateRequest & { from?: Place }, VolumeDefinition>(
      storage,
      "create-volume",
      (request, context, place) => createFrom(context, storage, place, request),
    ),
    updateVolume: inPlace<{ volume: VolumeDefinition; file: string }, VolumeDefinition>(
      storage,
      "update-volume",
      ({ volume, file }, { sys }, place) => new VolumeReader(sys, storage).update(place, volume, file),
    ),
    deleteVolume: inPlace<{ volume: VolumeDefinition }, void>(
      storage,
      "delete-volume",
      ({ volume }, { sys }, place) => deleteVolume(sys, storage, place, volume),
    ),
    resizeVolume: inPlace<ResizeRequest, VolumeDefinition>(
      storage,
      "resize-volume",
      (request, context, place) => {
        resizeVolume(context, storage, place, request);
        return new VolumeReader(context.sys, storage).update(place, request.volume, request.volume.name);
      },
    ),
    wipeVolume: inPlace<{ volume: VolumeDefinition; algorithm: number }, VolumeDefinition>(
      storage,
      "wipe-volume",
      ({ volume, algorithm }, context, place) => {
        wipeVolume(context, storage, place, volume, algorithm);
        return new VolumeReader(context.sys, storage).read(place, volume.name) ?? volume;
      },
    ),
  };
}

/** Those that move a volume's data over a socket. */
function transferOperations(storage: StorageSys) {
  return {
    uploadVolume: inPlace<TransferRequest, void>(
      storage,
      "upload-volume",
      (request, context, place) => receiveVolume(context, storage, place, request),
    ),
    downloadVolume: inPlace<TransferRequest, void>(
      storage,
      "download-volume",
      (request, context, place) => sendVolume(context, storage, place, request),
    ),
  };
}

/** @returns undefined when it was to be adopted, and is not up */
function openPool(
  context: WorkContext,
  storage: StorageSys,
  { pool, build, how, host }: OpenPoolRequest,
): Listing | undefined {
  const backend = backendOf(pool.type);
  if (build !== undefined) backend.build(context, storage, pool, build);
  if (how === "adopt" && !backend.check(context, storage, pool)) return undefined;
  try {
    if (how === "start") backend.start(context, storage, pool);
    const place: Place = { path: directoryOf(pool), identity: undefined };
    const listed = atPlace(
      context.sys,
      storage,
      place,
      (open) => listPlace(context, storage, open, host),
    );
    if (listed.kind === "gone") throw failureOf(listed.failure);
    return listed.value;
  } catch (error) {
    // A pool that cannot be read, or that nobody wants any more, is not left half up by whoever started it.
    if (how === "start") backend.undo(context, storage, pool);
    throw error;
  }
}

function createFrom(
  context: WorkContext,
  storage: StorageSys,
  place: OpenPlace,
  request: CreateRequest & { readonly from?: Place },
): VolumeDefinition {
  const { from } = request;
  if (from === undefined) return createVolume(context, storage, place, request, undefined);
  const made = atPlace(
    context.sys,
    storage,
    from,
    (source) => createVolume(context, storage, place, request, source),
  );
  if (made.kind === "gone") throw failureOf(made.failure);
  return made.value;
}
