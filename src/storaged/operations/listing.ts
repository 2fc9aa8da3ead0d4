import type { StorageSys } from "../../os/storage_sys.ts";
import type { Permissions, PoolSizes } from "../model/pool_definition.ts";
import { failedCommonCall } from "../volumes/errors.ts";
import { isReserved, removeLeft } from "../volumes/new_file.ts";
import type { OpenPlace, PlaceIdentity } from "../volumes/place.ts";
import { rowOf, type VolumeRow } from "../volumes/rows.ts";
import { labelOf, permissionsOf, VolumeReader } from "../volumes/volume_reader.ts";
import type { WorkContext } from "../work/operation.ts";

/** What is in a pool. */
export interface Listing {
  readonly identity: PlaceIdentity;
  readonly sizes: PoolSizes;
  /** Of the directory. */
  readonly permissions: Permissions;
  /** A list of {@link VolumeRow} as one text, which is carried at once. */
  readonly rows: string;
  /** Files that a crash had left, removed now. */
  readonly removed: readonly string[];
}

/** The rows of a listing. */
export function rowsOf({ rows }: Listing): readonly VolumeRow[] {
  return JSON.parse(rows) as readonly VolumeRow[];
}

/** After so many volumes it is asked whether anybody still wants the list. */
const CHECK_EVERY = 256;

/**
 * Reads everything in a pool's directory.
 *
 * @param host tag of this host in reserved names
 * @throws RpcFailure, WorkCancelled
 */
export function listPlace(
  context: WorkContext,
  storage: StorageSys,
  place: OpenPlace,
  host: string,
): Listing {
  const { sys } = context;
  const names = sys.listDirectory(place.base);
  if (typeof names === "number") throw failedCommonCall(`cannot open directory '${place.path}'`, names);
  const removed = removeLeft(sys, place, names, host);
  const reader = new VolumeReader(sys, storage);
  const rows: VolumeRow[] = [];
  names.forEach((name, index) => {
    if (index % CHECK_EVERY === 0) context.checkpoint();
    // deno-lint-ignore no-control-regex -- names with control characters would break every list
    if (isReserved(name) || /[\x00-\x1f]/.test(name)) return;
    const volume = reader.read(place, name);
    if (volume !== undefined) rows.push(rowOf(volume));
  });
  return { ...describe(storage, place), rows: JSON.stringify(rows), removed };
}

/** The directory itself. @throws RpcFailure */
function describe(
  storage: StorageSys,
  place: OpenPlace,
): Pick<Listing, "identity" | "sizes" | "permissions"> {
  const facts = storage.descriptorFacts(place.fd);
  if (typeof facts === "number") throw failedCommonCall(`cannot stat path '${place.path}'`, facts);
  const space = storage.space(place.base);
  if (typeof space === "number") throw failedCommonCall(`cannot statvfs path '${place.path}'`, space);
  const { capacity, free } = space;
  return {
    identity: place.identity,
    sizes: { capacity, allocation: capacity - free, available: free },
    permissions: permissionsOf(facts, labelOf(storage, place.fd)),
  };
}
