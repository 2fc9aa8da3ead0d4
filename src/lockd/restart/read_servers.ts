import type { Owner } from "../lockspace/owner.ts";
import { formatUuid, parseUuid } from "../../chassis/wire/uuid.ts";
import { OWN_KEY } from "./document_format.ts";
import { type JsonObject, MAX_U32 } from "./json_object.ts";
import type { ClientExtension, ClientState, ListenerState, RestartState, ServerState } from "./state.ts";

const CANONICAL_UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Which of the two servers: only clients of the lock server have owners. */
type Role = "lock" | "admin";

/**
 * The servers of a document, in whichever form it has them: by name, in an array, or the one server of
 * libvirt 1.0.
 */
export function readServers(document: JsonObject): RestartState["servers"] {
  if (!document.has("daemon") && document.has("server")) {
    return { virtlockd: readServer(document.object("server"), "lock") };
  }
  const daemon = document.object("daemon");
  if (daemon.isArray("servers")) {
    const [first, second, ...more] = daemon.objects("servers", (server) => server);
    if (first === undefined) return daemon.fail("servers", "one or two servers", "none");
    if (more.length > 0) return daemon.fail("servers", "one or two servers", String(more.length + 2));
    return pair(first, second);
  }
  const servers = daemon.object("servers");
  return pair(servers.object("virtlockd"), servers.has("admin") ? servers.object("admin") : undefined);
}

function pair(lock: JsonObject, admin: JsonObject | undefined): RestartState["servers"] {
  const virtlockd = readServer(lock, "lock");
  return admin === undefined ? { virtlockd } : { virtlockd, admin: readServer(admin, "admin") };
}

function readServer(at: JsonObject, role: Role): ServerState {
  const maxClients = at.integer("max_clients", "a number of clients", MAX_U32);
  const maxAnonymousClients = at.has("max_anonymous_clients")
    ? at.integer("max_anonymous_clients", "a number of clients", MAX_U32)
    : maxClients;
  const listeners = at.objects("services", (service) => service.objects("socks", readListener)).flat();
  return { maxClients, maxAnonymousClients, listeners, ...readClients(at, role) };
}

function readListener(at: JsonObject): ListenerState {
  // Daemons that do not write unlinkUNIX always unlink; 9.0.0 reads it so, too.
  return { fd: at.descriptor("fd"), unlinkPath: at.has("unlinkUNIX") ? at.boolean("unlinkUNIX") : true };
}

function readClients(at: JsonObject, role: Role): Pick<ServerState, "clients" | "nextClientId"> {
  let nextClientId = at.has("next_client_id") ? at.integer("next_client_id", "a client id") : 1;
  const seen = new Set<number>();
  const ids = at.objects("clients", (client) => {
    if (!client.has("id")) return undefined;
    const id = client.integer("id", "a client id");
    if (seen.has(id)) client.fail("id", "an id of its own");
    seen.add(id);
    nextClientId = Math.max(nextClientId, id + 1);
    return id;
  });
  const clients = at.objects("clients", (client, index) => {
    return readClient(client, ids[index] ?? nextClientId++, role);
  });
  return { clients, nextClientId };
}

function readClient(at: JsonObject, id: number, role: Role): ClientState {
  const fd = at.object("sock").descriptor("fd");
  const seconds = at.has("conn_time")
    ? at.integer("conn_time", "Unix seconds", Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER)
    : 0;
  const extension = at.has(OWN_KEY) ? { extension: readClientExtension(at.object(OWN_KEY)) } : {};
  const client = { id, fd, connectedAt: seconds * 1000, restricted: false, ...extension };
  if (role === "admin") return client;
  const session = at.object("privateData");
  const restricted = session.boolean("restricted");
  const pid = session.integer("ownerPid", "a process id", MAX_U32);
  // A domain id of 0 is what REGISTER refuses, and so what a client has that never registered.
  if (session.integer("ownerId", "a domain id", MAX_U32) === 0) return { ...client, restricted };
  const place = at.has(OWN_KEY) ? readOwnerPlace(at.object(OWN_KEY)) : {};
  return { ...client, restricted, owner: { ...readOwner(session, pid), ...place } };
}

function readOwner(at: JsonObject, pid: number): Owner {
  return {
    pid,
    name: at.string("ownerName"),
    uuid: readUuid(at, "ownerUUID"),
    id: at.integer("ownerId", "a domain id", MAX_U32),
  };
}

/** What our own part of a document says of an owner's process. */
export function readOwnerPlace(at: JsonObject): Pick<Owner, "namespace" | "hostPid"> {
  return {
    ...(at.has("namespace") ? { namespace: at.string("namespace") } : {}),
    ...(at.has("hostPid") ? { hostPid: at.integer("hostPid", "a process id", MAX_U32) } : {}),
  };
}

/** A uuid in any spelling, as lower case with dashes. */
export function readUuid(at: JsonObject, key: string): string {
  const text = at.string(key, "a uuid");
  if (CANONICAL_UUID.test(text)) return text;
  const bytes = parseUuid(text);
  return bytes === undefined ? at.fail(key, "a uuid") : formatUuid(bytes);
}

function readClientExtension(at: JsonObject): ClientExtension {
  const peer = at.object("peer");
  return {
    unserved: {
      bytes: readBytes(at, "unserved"),
      dropped: at.has("dropped") ? at.integer("dropped", "a number of bytes") : 0,
    },
    unsent: readBytes(at, "unsent"),
    peer: {
      pid: peer.integer("pid", "a process id", MAX_U32),
      uid: peer.integer("uid", "a user id", MAX_U32),
      gid: peer.integer("gid", "a group id", MAX_U32),
    },
    pidfd: at.has("pidfd") ? at.descriptor("pidfd") : -1,
    ...(at.has("refused") ? { refused: at.integers("refused", "a resource id") } : {}),
    ...(at.has("granted") ? { granted: at.integers("granted", "a resource id") } : {}),
    ...(at.has("trailLost") ? { trailLost: true } : {}),
  };
}

function readBytes(at: JsonObject, key: string): Uint8Array {
  if (!at.has(key)) return new Uint8Array(0);
  const text = at.string(key, "base64 text");
  try {
    return Uint8Array.fromBase64(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return at.fail(key, "base64 text");
  }
}
