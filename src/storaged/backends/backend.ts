import type { StorageSys } from "../../os/storage_sys.ts";
import type { PoolDefinition } from "../model/pool_definition.ts";
import type { WorkContext } from "../work/operation.ts";

/** Flags of virStoragePoolBuild. */
export type BuildMode =
  /** Only what the pool needs besides its device. */
  | "plain"
  /** Formats the device, if it holds nothing. */
  | "no-overwrite"
  /** Formats the device, whatever it holds. */
  | "overwrite";

/**
 * What a type of pool does with the host to be there. All of it runs in a helper process and may block.
 *
 * Every method throws RpcFailure for what the client is told, and WorkCancelled.
 */
export interface Backend {
  /** libvirt's name of the type. */
  readonly type: string;
  /** Whether the pool is there already: mounted, or a directory that exists. */
  check(context: WorkContext, storage: StorageSys, pool: PoolDefinition): boolean;
  build(context: WorkContext, storage: StorageSys, pool: PoolDefinition, mode: BuildMode): void;
  start(context: WorkContext, storage: StorageSys, pool: PoolDefinition): void;
  stop(context: WorkContext, storage: StorageSys, pool: PoolDefinition): void;
  /** As {@link stop}, also when nobody wants the result any more. */
  undo(context: WorkContext, storage: StorageSys, pool: PoolDefinition): void;
  /** Removes what {@link build} made. */
  remove(context: WorkContext, storage: StorageSys, pool: PoolDefinition): void;
  /** `<sources>` as XML; undefined where the type cannot look for them. */
  readonly findSources:
    | ((context: WorkContext, spec: string | undefined) => string)
    | undefined;
}
