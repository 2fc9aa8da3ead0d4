import { invariant } from "../../base/invariant.ts";
import type { EventLoop, Timer } from "../../chassis/event/event_loop.ts";
import { counted } from "../../chassis/log/counted.ts";
import type { Log } from "../../chassis/log/log.ts";
import { AcceptingServer } from "../../chassis/rpc/accepting_server.ts";
import type { Rejection } from "../../chassis/rpc/acceptor.ts";
import type { ClientLimits } from "../../chassis/rpc/client_limits.ts";
import { crashText } from "../../chassis/rpc/dispatch.ts";
import type { Listener } from "../../chassis/rpc/listener.ts";
import type { SocketPeer } from "../../chassis/rpc/peer.ts";
import { SO_SNDBUFFORCE } from "../../os/constants.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { PeerCredentials, Sys } from "../../os/sys.ts";
import { ClientConnection, type ClientParts } from "./client_connection.ts";
import type { ClientProgram } from "./client_link.ts";
import { receiveBuffer } from "./receive_buffer.ts";

/** Clients of one ordinary user at once, so that none keeps the others out. */
const MOST_PER_USER = 256;
/** Those of them that are not authenticated. */
const MOST_ANONYMOUS_PER_USER = 8;
/** How long a client may take to authenticate, in ms: a person may be typing a password. */
const AUTHENTICATION_MS = 300_000;
/** How often clients are looked at that are asked whether they are still there, or have a stream, in ms. */
const LOOK_MS = 1000;
/** Bytes of a client's socket, so that a packet of a stream is with the kernel at once. */
const SOCKET_BUFFER = 1 << 20;

/** How the server treats its clients. Times in ms, 0: never. */
export interface ClientPolicy {
  /** Silence after which a client is asked whether it is still there. */
  keepaliveInterval: number;
  /** Unanswered questions after which it is given up. */
  keepaliveCount: number;
  /** How long a stream may stand still because of its client. */
  streamIdle: number;
  /** Calls of one client that are served at once. */
  mostCalls: number;
}

/** Told of clients that come and go. */
export interface StorageClientObserver {
  connected(client: ClientConnection): void;
  disconnected(client: ClientConnection, reason: string): void;
  /** @param code 0 for success, else the libvirt error code */
  served(program: string, procedure: string, code: number, milliseconds: number): void;
}

/** What the server needs. */
export interface StorageServerParts {
  readonly name: string;
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly programs: readonly ClientProgram[];
  readonly limits: ClientLimits;
  readonly policy: ClientPolicy;
  /** The user whose own clients are no strangers. */
  readonly uid: number;
  /** Whether other users than that are served at all. */
  readonly othersServed: boolean;
  readonly observer: StorageClientObserver;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly log: Log;
}

/** What is watched of a client while it lives. */
interface Watched {
  readonly peer: SocketPeer;
  /** Questions without an answer. */
  unanswered: number;
  /** Monotonic ms of the last question. */
  askedAt: number;
}

/** Accepts the clients of the storage daemon, and ends those that are gone, silent or too many. */
export class StorageServer extends AcceptingServer<ClientConnection> {
  readonly #parts: StorageServerParts;
  readonly #shared: ClientParts;
  readonly #watched = new Map<ClientConnection, Watched>();
  readonly #keptAlive = new Set<ClientConnection>();
  #look: Timer | undefined;

  /** @throws SystemError when there is no memory */
  constructor(parts: StorageServerParts) {
    super(parts);
    this.#parts = parts;
    const { sys, loop, programs, policy, observer } = parts;
    this.#shared = {
      sys,
      loop,
      programs,
      buffer: receiveBuffer(sys),
      mostCalls: () => policy.mostCalls,
      clock: () => sys.monotonic(),
      served: (program, procedure, code, milliseconds) =>
        observer.served(program, procedure, code, milliseconds),
      ended: (client, reason) => this.#ended(client, reason),
      authenticated: () => this.acceptor.reconsider(),
      keptAlive: (client) => {
        this.#keptAlive.add(client);
        this.#lookLater();
      },
      crashed: ({ clientId }, error) => parts.log.error(crashText(clientId, error)),
    };
  }

  /** What can be changed while it runs. */
  get policy(): ClientPolicy {
    return this.#parts.policy;
  }

  /** Clients that are not authenticated. */
  get unauthenticated(): number {
    return this.#anonymous();
  }

  protected override admit(fd: number, peer: SocketPeer, { role }: Listener): void {
    const { sys, observer } = this.#parts;
    sys.setSocketOption(fd, SO_SNDBUFFORCE, SOCKET_BUFFER);
    const client = new ClientConnection(this.#shared, fd, peer, role === "read-only");
    this.connections.set(peer.clientId, client);
    this.#watched.set(client, { peer, unanswered: 0, askedAt: 0 });
    observer.connected(client);
    client.start();
    this.#lookLater();
  }

  /** Why a user's next client is not taken. */
  protected override rejection({ uid }: PeerCredentials): Rejection | undefined {
    const { uid: own, othersServed } = this.#parts;
    if (uid === own || uid === 0) return undefined;
    const because = (reason: string) => ({ kind: `uid ${uid} ${reason}`, reason });
    if (!othersServed) return because(`it comes from uid ${uid}, and this daemon serves uid ${own}`);
    const theirs = [...this.connections.values()].filter((client) => client.uid === uid);
    if (theirs.length >= MOST_PER_USER) return because(`uid ${uid} has ${theirs.length} connections already`);
    const anonymous = theirs.filter(({ authenticated }) => !authenticated).length;
    return anonymous < MOST_ANONYMOUS_PER_USER
      ? undefined
      : because(`uid ${uid} has ${anonymous} connections that are not authenticated`);
  }

  #ended(client: ClientConnection, reason: string): void {
    const { sys, ledger, observer } = this.#parts;
    const watched = this.#watched.get(client);
    invariant(watched !== undefined, `Client ${client.clientId} of server ${this.name} ended twice`);
    this.connections.delete(client.clientId);
    this.#watched.delete(client);
    this.#keptAlive.delete(client);
    observer.disconnected(client, reason);
    watched.peer.release();
    sys.shutdown(client.fd);
    ledger.close(client.fd);
    this.acceptor.reconsider(true);
  }

  #lookLater(): void {
    this.#look ??= this.#parts.loop.after(LOOK_MS, () => {
      this.#look = undefined;
      this.#lookAtClients();
    });
  }

  /** Ends those that are silent, stand still or do not authenticate; nobody is looked at without a reason. */
  #lookAtClients(): void {
    const { policy, sys, now } = this.#parts;
    const clock = sys.monotonic();
    let reason = false;
    for (const [client, watched] of [...this.#watched]) {
      const anonymous = !client.authenticated;
      const kept = policy.keepaliveInterval > 0 && this.#keptAlive.has(client);
      reason ||= anonymous || kept || client.streams > 0;
      if (anonymous && now() - client.connectedAt > AUTHENTICATION_MS) {
        client.end("it did not authenticate in time");
      } else if (
        client.streams > 0 && policy.streamIdle > 0 && client.streamsIdle(clock) > policy.streamIdle
      ) {
        client.end("its stream did not move for too long");
      } else if (kept) this.#keep(client, watched, clock);
    }
    if (reason) this.#lookLater();
  }

  /** libvirt's way: a question after each interval of silence, the end after so many without an answer. */
  #keep(client: ClientConnection, watched: Watched, clock: number): void {
    const { keepaliveInterval, keepaliveCount } = this.#parts.policy;
    if (client.unread || client.heardAt > watched.askedAt) watched.unanswered = 0;
    if (clock - Math.max(client.heardAt, watched.askedAt) < keepaliveInterval) return;
    if (watched.unanswered >= keepaliveCount) return client.end("it does not answer");
    watched.unanswered++;
    watched.askedAt = clock;
    client.ping();
  }

  #anonymous(): number {
    let count = 0;
    for (const client of this.connections.values()) if (!client.authenticated) count++;
    return count;
  }

  /** Who is there, when there is no room for one more. */
  protected override crowd(): (() => string) | undefined {
    const { maxClients, maxAnonymousClients } = this.#parts.limits;
    const anonymous = this.#anonymous();
    if (this.connections.size < maxClients && anonymous < maxAnonymousClients) return undefined;
    return () => `${counted(this.connections.size, "client")}, ${anonymous} of them not authenticated`;
  }
}
