import { invariant } from "../../base/invariant.ts";
import { takeOut } from "../../base/lists.ts";
import type { EventLoop, Timer } from "../../chassis/event/event_loop.ts";
import { counted } from "../../chassis/log/counted.ts";
import type { Log } from "../../chassis/log/log.ts";
import { Repeats } from "../../chassis/log/repeats.ts";
import { openPeerPidfd, readCredentials, readSecurity, SocketPeer } from "../../chassis/rpc/peer.ts";
import type { Listener } from "../../chassis/rpc/listener.ts";
import type { ClientLimits } from "../../chassis/rpc/server.ts";
import { EPOLLIN, SO_SNDBUFFORCE } from "../../os/constants.ts";
import { EAGAIN, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { ClientConnection, type ClientParts } from "./client_connection.ts";
import type { ClientProgram } from "./client_link.ts";
import { receiveBuffer } from "./receive_buffer.ts";

/** After running out of descriptors, accepting is tried again at the latest after this many ms. */
const RETRY_MS = 500;
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
export class StorageServer {
  readonly #parts: StorageServerParts;
  readonly #shared: ClientParts;
  readonly #listeners: Listener[] = [];
  readonly #clients = new Map<number, ClientConnection>();
  readonly #watched = new Map<ClientConnection, Watched>();
  readonly #keptAlive = new Set<ClientConnection>();
  readonly #repeats: Repeats;
  #nextClientId = 1;
  #accepting: "yes" | "full" | "no-descriptors" | "stopped" = "stopped";
  #retry: Timer | undefined;
  #look: Timer | undefined;

  /** @throws SystemError when there is no memory */
  constructor(parts: StorageServerParts) {
    this.#parts = parts;
    this.#repeats = new Repeats((milliseconds, task) => parts.loop.after(milliseconds, task));
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
      authenticated: () => this.#reconsider(),
      keptAlive: (client) => {
        this.#keptAlive.add(client);
        this.#lookLater();
      },
      crashed: (client, error) =>
        parts.log.error(
          `Serving client ${client.clientId} failed unexpectedly, which is a fault of this program: ${
            error instanceof Error ? error.stack ?? error.message : String(error)
          }`,
        ),
    };
  }

  /** Name in the admin protocol. */
  get name(): string {
    return this.#parts.name;
  }

  get limits(): Readonly<ClientLimits> {
    return this.#parts.limits;
  }

  /** What can be changed while it runs. */
  get policy(): ClientPolicy {
    return this.#parts.policy;
  }

  get listeners(): readonly Listener[] {
    return this.#listeners;
  }

  /** Connections by client id, oldest first. */
  get clients(): ReadonlyMap<number, ClientConnection> {
    return this.#clients;
  }

  /** Clients that are not authenticated. */
  get unauthenticated(): number {
    return this.#anonymous();
  }

  /** Changes the limits; takes effect at once. */
  setLimits(limits: Partial<ClientLimits>): void {
    Object.assign(this.#parts.limits, limits);
    this.#reconsider();
  }

  /** Takes a listening, non-blocking socket; its ownership passes to the server. */
  listen(listener: Listener): void {
    this.#parts.ledger.own(listener.fd, "listener");
    this.#listeners.push(listener);
  }

  /**
   * Takes a listening socket in the place of those with the same path, which nobody reaches any more. Who has
   * come to them before is accepted first.
   */
  listenInstead(listener: Listener): void {
    const { loop, ledger } = this.#parts;
    for (const old of this.#listeners.filter(({ path }) => path === listener.path)) {
      while (this.#accept(old) === "accepted");
      if (this.#accepting === "yes") loop.remove(old.fd);
      ledger.close(old.fd);
      takeOut(this.#listeners, old);
    }
    this.listen(listener);
    if (this.#accepting === "yes") this.#acceptFrom(listener);
  }

  /** Begins, or begins again, to accept. */
  startAccepting(): void {
    if (this.#accepting !== "stopped") return;
    this.#accepting = "full";
    this.#reconsider();
  }

  /** Stops accepting; connections wait in the backlog. */
  stopAccepting(): void {
    this.#pause("stopped");
  }

  /** One in a turn, so that a storm of connections does not keep the connected ones waiting. */
  #accept({ fd: listening, role }: Listener): "accepted" | "none" {
    if (this.#accepting !== "yes") return "none";
    const fd = this.#parts.sys.accept(listening);
    // Nobody is there, or the peer gave up before we took it.
    if (fd === -EAGAIN || fd === -ECONNABORTED) return "none";
    if (fd < 0) {
      this.#acceptFailed(fd);
      return "none";
    }
    this.#admit(fd, role === "read-only");
    return "accepted";
  }

  #acceptFrom(listener: Listener): void {
    this.#parts.loop.add(listener.fd, EPOLLIN, () => void this.#accept(listener));
  }

  #acceptFailed(result: number): void {
    const { log, name, loop } = this.#parts;
    const error = new SystemError("accept4", `a client of ${name}`, result);
    const shortage = [EMFILE, ENFILE, ENOBUFS, ENOMEM].includes(error.errno);
    const next = shortage ? "new clients wait; raise what the service may use" : "trying again";
    this.#repeats.happened(`accept ${result}`, (again) => log.error(`${error.message}; ${next}${again}`));
    this.#pause("no-descriptors");
    this.#retry = loop.after(RETRY_MS, () => this.#reconsider(true));
  }

  #admit(fd: number, readOnly: boolean): void {
    const { sys, ledger, observer, now } = this.#parts;
    let peer: SocketPeer;
    try {
      const credentials = readCredentials(sys, fd);
      const refused = this.#refusal(credentials.uid);
      if (refused !== undefined) return this.#turnAway(fd, credentials.uid, refused);
      const pidfd = openPeerPidfd(sys, fd, credentials.pid);
      peer = new SocketPeer(ledger, this.#nextClientId, credentials, readSecurity(sys, fd), now(), pidfd);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return this.#turnAway(fd, error.errno, error.message);
    }
    this.#nextClientId++;
    sys.setSocketOption(fd, SO_SNDBUFFORCE, SOCKET_BUFFER);
    ledger.own(fd, "client");
    const client = new ClientConnection(this.#shared, fd, peer, readOnly);
    this.#clients.set(peer.clientId, client);
    this.#watched.set(client, { peer, unanswered: 0, askedAt: 0 });
    observer.connected(client);
    client.start();
    this.#lookLater();
    this.#reconsider();
  }

  #turnAway(fd: number, kind: number, why: string): void {
    const { sys, log, name } = this.#parts;
    this.#repeats.happened(
      `admit ${kind} ${why}`,
      (again) => log.warn(`Refused a connection to server ${name}: ${why}${again}`),
    );
    sys.close(fd);
  }

  /** Why a user's next client is not taken. */
  #refusal(uid: number): string | undefined {
    const { uid: own, othersServed } = this.#parts;
    if (uid === own || uid === 0) return undefined;
    if (!othersServed) return `it comes from uid ${uid}, and this daemon serves uid ${own}`;
    const theirs = [...this.#clients.values()].filter((client) => client.uid === uid);
    if (theirs.length >= MOST_PER_USER) return `uid ${uid} has ${theirs.length} connections already`;
    const anonymous = theirs.filter(({ authenticated }) => !authenticated).length;
    return anonymous < MOST_ANONYMOUS_PER_USER
      ? undefined
      : `uid ${uid} has ${anonymous} connections that are not authenticated`;
  }

  #ended(client: ClientConnection, reason: string): void {
    const { sys, ledger, observer } = this.#parts;
    const watched = this.#watched.get(client);
    invariant(watched !== undefined, `Client ${client.clientId} of server ${this.name} ended twice`);
    this.#clients.delete(client.clientId);
    this.#watched.delete(client);
    this.#keptAlive.delete(client);
    observer.disconnected(client, reason);
    watched.peer.release();
    sys.shutdown(client.fd);
    ledger.close(client.fd);
    this.#reconsider(true);
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
      } else if (client.streams > 0 && policy.streamIdle > 0 && clock - client.movedAt > policy.streamIdle) {
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
    for (const client of this.#clients.values()) if (!client.authenticated) count++;
    return count;
  }

  /** Accepts while there is room, and not when there is none. */
  #reconsider(retry = false): void {
    const { limits, log } = this.#parts;
    const full = this.#clients.size >= limits.maxClients || this.#anonymous() >= limits.maxAnonymousClients;
    if (this.#accepting === "stopped" || (this.#accepting === "no-descriptors" && !retry)) return;
    if (!full) {
      if (this.#accepting === "yes") return;
      this.#retry?.cancel();
      this.#accepting = "yes";
      for (const listener of this.#listeners) this.#acceptFrom(listener);
      return;
    }
    if (this.#accepting !== "yes") return;
    this.#pause("full");
    const clients = counted(this.#clients.size, "client");
    this.#repeats.happened("full", (again) =>
      log.warn(
        `Server ${this.name} has ${clients}, ${this.#anonymous()} of them not authenticated, its limit: ` +
          `new ones wait until one leaves, or the limit is raised${again}`,
      ));
  }

  #pause(why: "full" | "no-descriptors" | "stopped"): void {
    if (this.#accepting === "yes") {
      for (const listener of this.#listeners) this.#parts.loop.remove(listener.fd);
    }
    this.#accepting = why;
  }
}
