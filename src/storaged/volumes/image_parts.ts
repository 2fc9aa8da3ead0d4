import { storageError } from "../model/storage_error.ts";
import type { VolumeDefinition } from "../model/volume_definition.ts";

/**
 * qemu-img goes where the header of an image says, and a guest may have written that header: with a data file
 * it would write to any file of the host, and other backing stores than files it would ask the network for.
 *
 * @param volume as its header says now, not as the last refresh has found it
 * @param done what cannot be done to it, for the message
 * @throws RpcFailure when an image has such parts
 */
export function refuseForeignParts(
  { name, features = [], backing }: VolumeDefinition,
  done: "copied" | "resized",
): void {
  if (features.includes("data_file")) {
    throw storageError("unsupported", `volume '${name}' cannot be ${done}: its data is in another file`);
  }
  if (backing === undefined || backing.path.startsWith("/")) return;
  const detail = `volume '${name}' cannot be ${done}: its backing store ${backing.path} is not a local file`;
  throw storageError("unsupported", detail);
}
