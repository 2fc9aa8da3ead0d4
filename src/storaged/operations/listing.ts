import { DirectoryEntries } from "../../os/directory_entries.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import { decodeText } from "../../os/text.ts";
import type { Permissions, PoolSizes } from "../model/pool_definition.ts";
import { failedCommonCall } from "../volumes/errors.ts";
import { permissionsOf } from "../volumes/found_volume.ts";
import { isReserved, removeLeft } from "../volumes/new_file.ts";
import type { OpenPlace, PlaceIdentity } from "../volumes/place.ts";
import { labelOf, VolumeReader } from "../volumes/volume_reader.ts";
import { RowWriter } from "../volumes/volume_rows.ts";
import type { WorkContext } from "../work/operation.ts";

/** What is in a pool, besides its volumes: these are sent ahead, as the batches of VolumeRows. */
export interface Listing {
  readonly identity: PlaceIdentity;
  readonly sizes: PoolSizes;
  /** Of the directory. */
  readonly permissions: Permissions;
  /** Files that a crash had left, removed now. */
  readonly removed: readonly string[];
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
  const entries = new DirectoryEntries(storage, place.fd);
  const reader = new VolumeReader(context.sys, storage);
  const rows = new RowWriter(context.batch);
  const reserved: string[] = [];
  let count = 0;
  for (let name = entries.next(); name !== undefined; name = entries.next()) {
    if (typeof name === "number") throw failedCommonCall(`cannot read directory '${place.path}'`, name);
    if (count++ % CHECK_EVERY === 0) context.checkpoint();
    context.alive();
    const hidden = hiddenName(name);
    if (hidden !== undefined && isReserved(hidden)) {
      reserved.push(hidden);
      continue;
    }
    if (entries.dataless || hasControls(name)) continue;
    const volume = reader.look(place, name);
    if (volume !== undefined) rows.add(name, volume);
  }
  rows.finish();
  return { ...describe(storage, place), removed: removeLeft(context.sys, storage, place, reserved, host) };
}

const DOT = 0x2e;

/** A name that begins with a dot, as all reserved ones do. */
function hiddenName(name: Uint8Array): string | undefined {
  return name[0] === DOT ? decodeText(name, 0, name.length - 1) : undefined;
}

/** Tab, line feed and carriage return: the control characters that XML can have. */
const IN_XML = [0x09, 0x0a, 0x0d];

/** Names with other control characters would break every list. */
function hasControls(name: Uint8Array): boolean {
  for (let index = 0; index < name.length - 1; index++) {
    const byte = name[index] as number;
    if (byte < 0x20 && !IN_XML.includes(byte)) return true;
  }
  return false;
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
