import { NOBODY, type Owner } from "../lockspace/owner.ts";
import type { HandedLock } from "../lockspace/lock_record.ts";
import { FORMAT_VERSION, ownField } from "./document_format.ts";
import { lockJson } from "./lock_codec.ts";
import { OwnerTable } from "./owner_table.ts";
import type {
  ClientExtension,
  ClientState,
  DaemonExtension,
  ListenerState,
  RestartState,
  ServerState,
} from "./state.ts";
import { TextSink } from "./text_sink.ts";

/** libvirt's keepaliveInterval of a server without keepalive: -1 in 32 bits. */
const NO_KEEPALIVE = 4294967295;

/**
 * Writes a state as libvirt's current document, every field that its daemon insists on in its order, with
 * ours at the end of each object. Without `extension` nothing of ours is written: that document is smaller,
 * and for libvirt's daemon alone.
 *
 * Strings that stand for bytes that are not UTF-8 are written as escaped lone surrogates: this daemon reads
 * the bytes back, while libvirt's, which has no way to be told of such a byte, keeps the lock under a name
 * that it makes of the escape.
 *
 * @throws Error when a state with an extension has a resource whose kind of lock is not known
 */
export function writeState(state: RestartState): Uint8Array<ArrayBuffer> {
  const { servers, lockspaces, extension } = state;
  const owners = extension === undefined ? undefined : new OwnerTable();
  const sink = new TextSink();
  sink.add(`{"daemon":{"servers":{`);
  if (servers.admin !== undefined) {
    addServer(sink, "admin", servers.admin, adminSession, extension !== undefined);
    sink.add(",");
  }
  addServer(sink, "virtlockd", servers.virtlockd, lockSession, extension !== undefined);
  sink.add(`}},"defaultLockspace":{`);
  addResources(sink, lockspaces.find((lockspace) => lockspace.path === "")?.resources ?? [], owners);
  sink.add(`},"lockspaces":[`);
  lockspaces.filter((lockspace) => lockspace.path !== "").forEach((lockspace, index) => {
    sink.add(`${index === 0 ? "" : ","}{"directory":${JSON.stringify(lockspace.path)},`);
    addResources(sink, lockspace.resources, owners);
    sink.add("}");
  });
  sink.add(`],"magic":"${state.pid}"`);
  if (extension !== undefined && owners !== undefined) {
    sink.add(ownField(extensionText(extension, owners, state.nextResourceId)));
  }
  sink.add("}\n");
  return sink.finish();
}

function addServer(
  sink: TextSink,
  name: string,
  server: ServerState,
  session: (client: ClientState) => string,
  withOwn: boolean,
): void {
  const { maxClients, nextClientId, listeners, clients } = server;
  // libvirt's daemon exits on a document in which more clients may wait for authentication than may be
  // connected.
  const maxAnonymous = Math.min(server.maxAnonymousClients, maxClients);
  sink.add(
    `"${name}":{"min_workers":0,"max_workers":0,"priority_workers":0,"max_clients":${maxClients}` +
      `,"max_anonymous_clients":${maxAnonymous},"keepaliveInterval":${NO_KEEPALIVE},"keepaliveCount":0` +
      `,"next_client_id":${nextClientId},"services":[`,
  );
  sink.addList(listeners, serviceText);
  sink.add(`],"clients":[`);
  sink.addList(clients, (client) => {
    const own = withOwn && client.extension !== undefined
      ? ownField(clientExtensionText(client.extension, client.owner))
      : "";
    return clientText(client, session(client), own);
  });
  sink.add("]}");
}

function serviceText({ fd, unlinkPath }: ListenerState): string {
  return `{"auth":0,"readonly":false,"nrequests_client_max":1,"socks":[${
    socketText(fd, false, unlinkPath)
  }]}`;
}

function socketText(fd: number, isClient: boolean, unlink: boolean): string {
  return `{"fd":${fd},"errfd":-1,"pid":0,"isClient":${isClient},"unlinkUNIX":${unlink}}`;
}

function clientText({ id, fd, connectedAt }: ClientState, session: string, own: string): string {
  return `{"id":${id},"auth":0,"auth_pending":false,"readonly":false,"nrequests_max":1` +
    `,"conn_time":${Math.floor(connectedAt / 1000)},"sock":${socketText(fd, true, false)}` +
    `,"privateData":${session}${own}}`;
}

function adminSession(): string {
  return "{}";
}

function lockSession({ owner = NOBODY, restricted }: ClientState): string {
  return `{"restricted":${restricted},"ownerPid":${owner.pid},"ownerId":${owner.id}` +
    `,"ownerName":${JSON.stringify(owner.name)},"ownerUUID":${JSON.stringify(owner.uuid)}}`;
}

function clientExtensionText(
  { unserved, unsent, peer, pidfd, refused = [], granted = [], trailLost }: ClientExtension,
  { namespace, hostPid }: Owner = NOBODY,
): string {
  return JSON.stringify({
    peer: { pid: peer.pid, uid: peer.uid, gid: peer.gid },
    ...(pidfd < 0 ? {} : { pidfd }),
    namespace,
    hostPid,
    ...(refused.length === 0 ? {} : { refused }),
    ...(granted.length === 0 ? {} : { granted }),
    ...(trailLost === undefined ? {} : { trailLost }),
    ...(unserved.bytes.length === 0 ? {} : { unserved: unserved.bytes.toBase64() }),
    ...(unserved.dropped === 0 ? {} : { dropped: unserved.dropped }),
    ...(unsent.length === 0 ? {} : { unsent: unsent.toBase64() }),
  });
}

function addResources(
  sink: TextSink,
  resources: readonly HandedLock[],
  owners: OwnerTable | undefined,
): void {
  sink.add(`"resources":[`);
  sink.addList(resources, (resource) => lockJson(resource, owners));
  sink.add("]");
}

function extensionText(extension: DaemonExtension, owners: OwnerTable, nextResourceId: number): string {
  return JSON.stringify({ version: FORMAT_VERSION, nextResourceId, owners: owners.all, ...extension });
}
