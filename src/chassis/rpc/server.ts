import { invariant } from "../../base/invariant.ts";
import { takeOut } from "../../base/lists.ts";
import type { EventLoop, Timer } from "../event/event_loop.ts";
import { counted } from "../log/counted.ts";
import type { Log } from "../log/log.ts";
import { Repeats } from "../log/repeats.ts";
import { EPOLLIN } from "../../os/constants.ts";
import { EAGAIN, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { FileSys, ProcessSys, SocketSys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { clientKey } from "./client_key.ts";
import { Connection } from "./connection.ts";
import type { ConnectionParts, ServedObserver } from "./connection_parts.ts";
import type { Durability } from "./durability.ts";
import type { Exchange } from "./exchange.ts";
import { FrameCopies } from "./frame_copies.ts";
import { InputBudget } from "./input_budget.ts";
import type { Listener } from "./listener.ts";
import { openPeerPidfd, readCredentials, readSecurity, SocketPeer } from "./peer.ts";
import type { Program } from "./program.ts";

/** After running out of descriptors, accepting is tried again at the latest after this many ms. */
const RETRY_MS = 500;

/** How many clients a server takes. */
export interface ClientLimits {
  maxClients: number;
  /** Kept for the admin protocol: every client of this daemon is authenticated by its uid at once. */
  maxAnonymousClients: number;
}

/** Told of clients that come and go. */
export interface ClientObserver {
  connected(server: RpcServer, connection: Connection): void;
  disconnected(server: RpcServer, connection: Connection, reason: string): void;
}

/** What a server needs. */
export interface ServerParts {
  readonly name: string;
  /** Place among the daemon's servers, from 0; with a client's id it names the client in the journal. */
  readonly ordinal: number;
  readonly sys: SocketSys & Pick<ProcessSys, "pidfdOpen"> & Pick<FileSys, "close">;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly exchange: Exchange;
  readonly programs: readonly Program[];
  readonly limits: ClientLimits;
  /** Only peers with this uid are admitted. */
  readonly uid: number;
  readonly observer: ServedObserver & ClientObserver;
  readonly durability: Durability;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly log: Log;
}

/** A client that an earlier image of the daemon accepted. */
export interface InheritedClient {
  readonly id: number;
  /** Connected socket; its ownership passes to the server. */
  readonly fd: number;
  /** pidfd, -1 to get a new one. */
  readonly pidfd: number;
  /** Unix milliseconds. */
  readonly connectedAt: number;
  readonly unserved: { bytes: Uint8Array; dropped: number };
  readonly unsent: Uint8Array;
}

/**
 * Accepts clients on Unix sockets and serves programs to them. It knows nothing of what the programs do.
 *
 * At the client limit, and without descriptors, it stops accepting: connections wait in the backlog.
 */
export class RpcServer {
  readonly #parts: ServerParts;
  /** The same object for every connection: there may be thousands. */
  readonly #shared: ConnectionParts;
  readonly #listeners: Listener[] = [];
  readonly #clients = new Map<number, Connection>();
  readonly #peers = new WeakMap<Connection, SocketPeer>();
  readonly #adopted: Connection[] = [];
  readonly #repeats: Repeats;
  #nextClientId = 1;
  #accepting: "yes" | "full" | "no-descriptors" | "stopped" = "stopped";
  #retry: Timer | undefined;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.#repeats = new Repeats((milliseconds, task) => parts.loop.after(milliseconds, task));
    this.#shared = {
      ...parts,
      budget: new InputBudget(),
      copies: new FrameCopies(),
      keyOf: (clientId) => clientKey(parts.ordinal, clientId),
      ended: (clientId, reason) => this.#ended(clientId, reason),
      crashed: (clientId, error) =>
        parts.log.error(
          `Serving client ${clientId} failed unexpectedly, which is a fault of this program: ${
            describe(error)
          }`,
        ),
    };
  }

  /** Name in the admin protocol. */
  get name(): string {
    return this.#parts.name;
  }

  /** See {@link ServerParts.ordinal}. */
  get ordinal(): number {
    return this.#parts.ordinal;
  }

  /** Limits; change them with {@link setLimits}. */
  get limits(): Readonly<ClientLimits> {
    return this.#parts.limits;
  }

  get listeners(): readonly Listener[] {
    return this.#listeners;
  }

  /** Connections by client id, oldest first. */
  get clients(): ReadonlyMap<number, Connection> {
    return this.#clients;
  }

  get nextClientId(): number {
    return this.#nextClientId;
  }

  set nextClientId(id: number) {
    this.#nextClientId = Math.max(this.#nextClientId, id);
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
    for (const connection of this.#adopted.splice(0)) connection.start();
    this.#reconsider();
  }

  /** Stops accepting; connections wait in the backlog. */
  stopAccepting(): void {
    this.#pause("stopped");
  }

  /**
   * Takes over a client of an earlier image. It is served from {@link startAccepting} on.
   *
   * @throws SystemError when its credentials cannot be read
   */
  adopt(client: InheritedClient): Connection {
    const { sys, ledger } = this.#parts;
    const credentials = readCredentials(sys, client.fd);
    const pidfd = client.pidfd >= 0 ? client.pidfd : openPeerPidfd(sys, client.fd, credentials.pid);
    const peer = new SocketPeer(
      ledger,
      client.id,
      credentials,
      readSecurity(sys, client.fd),
      client.connectedAt,
      pidfd,
    );
    const connection = this.#register(client.fd, peer);
    connection.restore(client.unserved, client.unsent);
    this.#adopted.push(connection);
    this.nextClientId = client.id + 1;
    return connection;
  }

  /** One in a turn, so that a storm of connections does not keep the connected ones waiting. */
  #accept(listener: Listener): "accepted" | "nobody" {
    if (this.#accepting !== "yes") return "nobody";
    const fd = this.#parts.sys.accept(listener.fd);
    // Nobody is there, or the peer gave up before we took it.
    if (fd === -EAGAIN || fd === -ECONNABORTED) return "nobody";
    if (fd < 0) {
      this.#acceptFailed(fd);
      return "nobody";
    }
    this.#admit(fd);
    return "accepted";
  }

  #acceptFailed(result: number): void {
    const { log, name, loop } = this.#parts;
    const error = new SystemError("accept4", `a client of ${name}`, result);
    const shortage = [EMFILE, ENFILE, ENOBUFS, ENOMEM].includes(error.errno);
    this.#repeats.happened(
      `accept ${result}`,
      (again) =>
        log.error(
          `${error.message}; ${
            shortage ? "new clients wait; raise what the service may use" : "trying again"
          }${again}`,
        ),
    );
    this.#pause("no-descriptors");
    this.#retry = loop.after(RETRY_MS, () => this.#reconsider(true));
  }

  #admit(fd: number): void {
    const { sys, ledger, log, name, uid, now, observer } = this.#parts;
    let peer: SocketPeer;
    try {
      const credentials = readCredentials(sys, fd);
      if (credentials.uid !== uid) {
        this.#repeats.happened(`uid ${credentials.uid}`, (again) =>
          log.warn(
            `Refused a connection to server ${name}: process ${credentials.pid} has uid ${credentials.uid}, ` +
              `wanted ${uid}, the user that this daemon serves${again}`,
          ));
        sys.close(fd);
        return;
      }
      const pidfd = openPeerPidfd(sys, fd, credentials.pid);
      peer = new SocketPeer(ledger, this.#nextClientId, credentials, readSecurity(sys, fd), now(), pidfd);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const { message } = error;
      this.#repeats.happened(
        `admit ${error.errno}`,
        (again) => log.error(`Refused a connection to server ${name}: ${message}${again}`),
      );
      sys.close(fd);
      return;
    }
    this.#nextClientId++;
    const connection = this.#register(fd, peer);
    observer.connected(this, connection);
    connection.start();
    this.#reconsider();
  }

  #register(fd: number, peer: SocketPeer): Connection {
    this.#parts.ledger.own(fd, "client");
    const connection = new Connection(this.#shared, fd, peer);
    this.#clients.set(peer.clientId, connection);
    this.#peers.set(connection, peer);
    return connection;
  }

  #ended(clientId: number, reason: string): void {
    const { sys, ledger, observer } = this.#parts;
    const connection = this.#clients.get(clientId);
    invariant(connection !== undefined, `Client ${clientId} of server ${this.name} ended twice`);
    this.#clients.delete(clientId);
    observer.disconnected(this, connection, reason);
    this.#peers.get(connection)?.release();
    // Explicit, because a copy of the socket may wait in the service manager's store.
    sys.shutdown(connection.fd);
    ledger.close(connection.fd);
    this.#reconsider(true);
  }

  /** Accepts while there is room, and not when there is none. */
  #reconsider(retry = false): void {
    const full = this.#clients.size >= this.#parts.limits.maxClients;
    switch (this.#accepting) {
      case "stopped":
        return;
      case "yes":
        if (full) {
          this.#pause("full");
          const clients = counted(this.#clients.size, "client");
          this.#repeats.happened("full", (again) =>
            this.#parts.log.warn(
              `Server ${this.name} has ${clients}, its limit: new ones wait until one leaves, or the limit is raised${again}`,
            ));
        }
        return;
      case "no-descriptors":
        if (!retry) return;
        break;
      case "full":
        break;
    }
    if (full) {
      this.#accepting = "full";
      return;
    }
    this.#retry?.cancel();
    this.#accepting = "yes";
    for (const listener of this.#listeners) this.#acceptFrom(listener);
  }

  #acceptFrom(listener: Listener): void {
    this.#parts.loop.add(listener.fd, EPOLLIN, () => void this.#accept(listener));
  }

  #pause(why: "full" | "no-descriptors" | "stopped"): void {
    if (this.#accepting === "yes") {
      for (const listener of this.#listeners) this.#parts.loop.remove(listener.fd);
    }
    this.#accepting = why;
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
