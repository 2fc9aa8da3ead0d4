import type { FileIdentity } from "../lockspace/file_identity.ts";
import type { FindHolder } from "../lockspace/lock_table_parts.ts";
import { processCommand } from "../../os/process_state.ts";
import type { FileSys } from "../../os/sys.ts";
import type { StorageClient } from "./storage_client.ts";

/**
 * Finds who holds a file outside this daemon.
 *
 * The kernel names the holder of a POSIX lock on a local file at once. Everything else is searched for by a
 * helper: an open-file-description lock is found only by looking at every process, and what the kernel tells
 * of a lock on network storage may be about a process of another host.
 *
 * @param clientOf the client of a file on storage that may hang, undefined for a local file
 * @param local does the search for local files
 */
export function holderFinder(
  sys: Pick<FileSys, "open" | "read" | "close">,
  clientOf: (path: string, identity: FileIdentity) => StorageClient | undefined,
  local: StorageClient,
): FindHolder {
  return (path, identity, pid, done) => {
    const client = clientOf(path, identity);
    if (client === undefined && pid > 0) {
      return done({ kind: "process", pid, command: processCommand(sys, pid) });
    }
    (client ?? local).findHolder(path, identity, done);
  };
}
