import { NOBODY, type Owner } from "../lockspace/owner.ts";
import { FLAG_AUTOCREATE, FLAG_SHARED, FORMAT_VERSION, OWN_KEY } from "./document_format.ts";
import type {
  ClientExtension,
  ClientState,
  DaemonExtension,
  ListenerState,
  LockedResource,
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

/** Our own field, behind the last one of libvirt's. */
function ownField(text: string): string {
  return `,"${OWN_KEY}":${text}`;
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
  { unserved, unsent, peer, pidfd, refused = [], granted = [] }: ClientExtension,
  { namespace, hostPid }: Owner = NOBODY,
): string {
  return JSON.stringify({
    peer: { pid: peer.pid, uid: peer.uid, gid: peer.gid },
    ...(pidfd < 0 ? {} : { pidfd }),
    namespace,
    hostPid,
    ...(refused.length === 0 ? {} : { refused }),
    ...(granted.length === 0 ? {} : { granted }),
    ...(unserved.bytes.length === 0 ? {} : { unserved: unserved.bytes.toBase64() }),
    ...(unserved.dropped === 0 ? {} : { dropped: unserved.dropped }),
    ...(unsent.length === 0 ? {} : { unsent: unsent.toBase64() }),
  });
}

function addResources(
  sink: TextSink,
  resources: readonly LockedResource[],
  owners: OwnerTable | undefined,
): void {
  sink.add(`"resources":[`);
  sink.addList(resources, (resource) => resourceText(resource, owners));
  sink.add("]");
}

function resourceText(resource: LockedResource, owners: OwnerTable | undefined): string {
  const { name, path, fd, holdings } = resource;
  const pids = holdings.map((holding) => holding.owner.pid);
  return `{"name":${JSON.stringify(name)},"path":${JSON.stringify(path)},"fd":${fd},"lockHeld":true` +
    `,"flags":${flagsOf(resource)},"owners":[${pids.join(",")}]${
      owners === undefined ? "" : ownField(resourceExtensionText(resource, owners))
    }}`;
}

function flagsOf({ shared, autocreate }: LockedResource): number {
  return (shared ? FLAG_SHARED : 0) | (autocreate ? FLAG_AUTOCREATE : 0);
}

function resourceExtensionText(resource: LockedResource, owners: OwnerTable): string {
  const { id, lock, holdings, doubtful, awaited, regrant } = resource;
  if (lock === undefined) {
    throw new Error(
      `Write resource ${resource.path}: how its lock is held is not known, wanted ofd or posix`,
    );
  }
  const indices = holdings.map((holding) => owners.indexOf(holding.owner));
  const since = holdings.map((holding) => holding.since);
  return `{"id":${id},"lock":"${lock}","owners":[${indices.join(",")}],"since":[${since.join(",")}]${
    doubtful === undefined ? "" : `,"doubtful":${JSON.stringify(doubtful)}`
  }${awaited === undefined ? "" : `,"awaited":${JSON.stringify(awaited)}`}${
    regrant === undefined ? "" : `,"regrant":"${regrant}"`
  }}`;
}

function extensionText(extension: DaemonExtension, owners: OwnerTable, nextResourceId: number): string {
  return JSON.stringify({ version: FORMAT_VERSION, nextResourceId, owners: owners.all, ...extension });
}

/** Every owner once: a guest has many locks, and each of its holdings would repeat its name and uuid. */
class OwnerTable {
  readonly all: Owner[] = [];
  readonly #byPid = new Map<number, number[]>();

  /** Place of an owner in the table, which it gets when it has none. */
  indexOf(owner: Owner): number {
    const known = this.#byPid.get(owner.pid);
    const index = known?.find((candidate) => sameOwner(this.all[candidate] as Owner, owner));
    if (index !== undefined) return index;
    const { pid, name, uuid, id, namespace, hostPid } = owner;
    const place = { ...(namespace === undefined ? {} : { namespace }), ...(hostPid ? { hostPid } : {}) };
    const next = this.all.push({ pid, name, uuid, id, ...place }) - 1;
    if (known === undefined) this.#byPid.set(pid, [next]);
    else known.push(next);
    return next;
  }
}

function sameOwner(a: Owner, b: Owner): boolean {
  return a === b || a.id === b.id && a.name === b.name && a.uuid === b.uuid &&
      a.namespace === b.namespace && a.hostPid === b.hostPid;
}
