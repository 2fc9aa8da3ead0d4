import { storageError } from "../model/storage_error.ts";
import type { Backend } from "./backend.ts";
import { directoryOf, makePoolDirectory, removePoolDirectory } from "./pool_directory.ts";

/** A directory of the host. It is there when it exists; starting and stopping change nothing. */
export const DIRECTORY_BACKEND: Backend = {
  type: "dir",
  check: (_context, storage, pool) => typeof storage.facts(directoryOf(pool)) !== "number",
  build: ({ sys }, storage, pool, mode) => {
    makePoolDirectory(sys, storage, pool);
    if (mode !== "plain") {
      throw storageError("invalid", `No source device specified when formatting pool '${pool.name}'`);
    }
  },
  start: () => {},
  stop: () => {},
  undo: () => {},
  remove: (_context, storage, pool) => removePoolDirectory(storage, pool),
  findSources: undefined,
};
