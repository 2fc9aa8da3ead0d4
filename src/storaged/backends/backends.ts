import { poolTypeNumber } from "../model/pool_types.ts";
import { storageError } from "../model/storage_error.ts";
import type { Backend } from "./backend.ts";
import { DIRECTORY_BACKEND } from "./directory_backend.ts";
import { FILE_SYSTEM_BACKEND, NETWORK_FILE_SYSTEM_BACKEND } from "./file_system_backend.ts";

/** Types of pools that this daemon can serve. Another one is a file with a Backend, and a line here. */
const BACKENDS: readonly Backend[] = [DIRECTORY_BACKEND, FILE_SYSTEM_BACKEND, NETWORK_FILE_SYSTEM_BACKEND];

/** Whether pools of a type can be served. */
export function hasBackend(type: string): boolean {
  return BACKENDS.some((each) => each.type === type);
}

/** Names of the types, in libvirt's order. */
export function backendTypes(): readonly string[] {
  return BACKENDS.map(({ type }) => type);
}

/** The backend of a type. @throws RpcFailure where there is none */
export function backendOf(type: string): Backend {
  const backend = BACKENDS.find((each) => each.type === type);
  if (backend !== undefined) return backend;
  const number = poolTypeNumber(type);
  throw storageError("internal", `missing backend for pool type ${number} (${type})`);
}
