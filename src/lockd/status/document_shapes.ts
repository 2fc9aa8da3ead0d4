import {
  exactly,
  fields,
  flag,
  listOf,
  mapOf,
  number,
  oneOf,
  optional,
  type Shape,
  text,
} from "../../base/shape.ts";
import type { ClusterStatus } from "../cluster/cluster_status.ts";
import type { KeptStart, RebootStatus } from "../cluster/reboot/earlier_starts.ts";
import type { EtcdMember } from "../cluster/etcd/etcd_members.ts";
import type { FencingHost, FencingStatus } from "../cluster/fencing/host_fencing.ts";
import type {
  ClientEntry,
  HolderEntry,
  LockEntry,
  LockspaceEntry,
  ReleaseDocument,
  Sections,
  ServerStatus,
  StatusDocument,
  StorageEntry,
} from "./status_document.ts";

// What commands make of the documents of a daemon, which may be of another version.

const LOCKSPACE: Shape<LockspaceEntry> = fields({
  path: text,
  origin: oneOf({ registered: true, adopted: true }),
  mount: optional(fields({ source: text, type: text, point: text })),
});

const STORAGE: Shape<StorageEntry> = fields({
  mount: text,
  state: oneOf({ absent: true, idle: true, working: true, hung: true }),
  waiting: number,
  busyMs: optional(number),
});

const SERVER: Shape<ServerStatus> = fields({ name: text, clients: number, clientsMax: number });

const MEMBER: Shape<EtcdMember> = fields({
  url: text,
  version: optional(text),
  reason: optional(text),
  unsafe: optional(text),
  foreign: optional(text),
});

const FENCING: Shape<FencingStatus> = fields({
  command: text,
  fault: optional(text),
  hosts: listOf(fields<FencingHost>({
    host: text,
    session: text,
    state: oneOf({ waiting: true, failed: true, watching: true, condemned: true, running: true }),
    sinceMs: number,
    failures: number,
    reason: optional(text),
  })),
  fenced: number,
  failures: number,
});

const REBOOT: Shape<RebootStatus> = fields({
  state: oneOf({ trusted: true, untrusted: true }),
  reason: optional(text),
  fenced: number,
  kept: listOf(fields<KeptStart>({ session: text, boot: text, locks: number, reason: text })),
});

const CLUSTER: Shape<ClusterStatus> = fields({
  name: text,
  host: text,
  session: text,
  state: oneOf({ joining: true, live: true, closed: true, unsure: true, lost: true, broken: true }),
  reason: optional(text),
  etcd: optional(listOf(MEMBER)),
  silentMs: optional(number),
  locks: number,
  local: optional(number),
  lost: optional(number),
  stopped: optional(number),
  parked: number,
  left: number,
  releasing: number,
  unknown: number,
  fencing: optional(FENCING),
  reboot: optional(REBOOT),
  settings: optional(mapOf(text)),
});

type StoreSection = NonNullable<Sections["store"]>;

const STORED: Shape<Extract<StoreSection, { present: true }>> = fields({
  present: exactly(true),
  stored: number,
  limit: number,
  refused: number,
  queued: number,
  kept: optional(flag),
  reason: optional(text),
  drops: optional(number),
});

const PRESENT: Shape<{ present: boolean }> = fields({ present: flag });
const NOT_STORED: Shape<Extract<StoreSection, { present: false }>> = fields({ present: exactly(false) });

const SECTIONS: Shape<Sections> = fields({
  storage: mapOf(text),
  journal: optional(fields({
    kind: oneOf({ store: true, file: true }),
    bytes: number,
    failed: optional(text),
  })),
  store: optional((value, place) => (PRESENT(value, place).present ? STORED : NOT_STORED)(value, place)),
  cluster: optional(CLUSTER),
});

/** GET_STATUS. */
export const STATUS: Shape<StatusDocument> = fields({
  version: text,
  pid: number,
  configurationFile: optional(text),
  startedMs: optional(number),
  started: number,
  countingSinceMs: optional(number),
  uptimeSeconds: optional(number),
  uptime: number,
  reExecs: number,
  reExecFailures: optional(number),
  lastReExecFailure: optional(text),
  crashes: optional(number),
  restarts: optional(number),
  recoveredLocks: optional(number),
  lostLocks: optional(number),
  servers: listOf(SERVER),
  locks: fields({
    exclusive: number,
    shared: number,
    lockspaces: number,
    holders: number,
    dying: number,
    settling: number,
    doubtful: number,
    lost: optional(number),
    posix: number,
  }),
  lockspaces: optional(listOf(LOCKSPACE)),
  descriptors: fields({ open: number, limit: number }),
  idleTimeoutSeconds: optional(number),
  idleTimeout: number,
  storage: optional(listOf(STORAGE)),
  logging: fields({ level: number, filters: text, outputs: text }),
  sections: SECTIONS,
});

const HOLDER: Shape<HolderEntry> = fields({
  domain: text,
  uuid: text,
  id: number,
  pid: number,
  sinceMs: optional(number),
  since: number,
  times: number,
  process: optional(oneOf({ ended: true, unjudged: true, stopped: true })),
});

/** An entry of LIST_LOCKS. */
export const LOCK: Shape<LockEntry> = fields({
  id: number,
  lockspace: text,
  resource: text,
  path: text,
  file: optional(text),
  mode: oneOf({ exclusive: true, shared: true }),
  autocreate: flag,
  state: oneOf({
    "held": true,
    "releasing": true,
    "doubtful": true,
    "awaited": true,
    "lost": true,
    "holder being killed": true,
    "parked": true,
    "settling": true,
  }),
  reason: optional(text),
  hosts: optional(oneOf({ cluster: true, pending: true, local: true })),
  kind: oneOf({ ofd: true, posix: true }),
  holders: listOf(HOLDER),
  moreHolders: optional(number),
});

/** An entry of LIST_CLIENTS. */
export const CLIENT: Shape<ClientEntry> = fields({
  server: text,
  id: number,
  connectedMs: optional(number),
  connected: number,
  pid: number,
  uid: number,
  gid: number,
  security: optional(text),
  owner: optional(fields({ domain: text, uuid: text, id: number, pid: number })),
  restricted: optional(flag),
  locks: optional(number),
});

/** What RELEASE answers. */
export const RELEASED: Shape<ReleaseDocument> = fields({
  lockspace: text,
  resource: text,
  owner: fields({ domain: text, uuid: text, pid: number }),
  ownerProcess: oneOf({ alive: true, dead: true, unjudged: true }),
  stillShared: flag,
});
