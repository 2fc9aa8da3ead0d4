import type { ClientConnection } from "../rpc/client_connection.ts";
import type { ClientDocument } from "../status/documents.ts";

/** A client for whoever asks who is connected. */
export function clientDocument(
  { clientId, pid, uid, connectedAt, authenticated, readOnly, calls, streams }: Pick<
    ClientConnection,
    "clientId" | "pid" | "uid" | "connectedAt" | "authenticated" | "readOnly" | "calls" | "streams"
  >,
): ClientDocument {
  const access = !authenticated ? "nothing" : readOnly ? "look" : "everything";
  return { id: clientId, pid, uid, connected: connectedAt, access, calls, streams };
}
