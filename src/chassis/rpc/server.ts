import { invariant } from "../../base/invariant.ts";
import type { PeerCredentials } from "../../os/sys.ts";
import type { EventLoop } from "../event/event_loop.ts";
import { counted } from "../log/counted.ts";
import { type AcceptingParts, AcceptingServer } from "./accepting_server.ts";
import type { Rejection } from "./acceptor.ts";
import { clientKey } from "./client_key.ts";
import { Connection } from "./connection.ts";
import type { ConnectionParts, ServedObserver } from "./connection_parts.ts";
import { crashText } from "./dispatch.ts";
import type { Durability } from "./durability.ts";
import type { Exchange } from "./exchange.ts";
import { FrameCopies } from "./frame_copies.ts";
import { InputBudget } from "./input_budget.ts";
import { openPeerPidfd, readCredentials, readSecurity, SocketPeer } from "./peer.ts";
import type { Program } from "./program.ts";

/** Told of clients that come and go. */
export interface ClientObserver {
  connected(server: RpcServer, connection: Connection): void;
  disconnected(server: RpcServer, connection: Connection, reason: string): void;
}

/** What a server needs. */
export interface ServerParts extends AcceptingParts {
  readonly loop: EventLoop;
  /** Place among the daemon's servers, from 0; with a client's id it names the client in the journal. */
  readonly ordinal: number;
  readonly exchange: Exchange;
  readonly programs: readonly Program[];
  /** Only peers with this uid are admitted. */
  readonly uid: number;
  readonly observer: ServedObserver & ClientObserver;
  readonly durability: Durability;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
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

/** Accepts clients on Unix sockets and serves programs to them. It knows nothing of what the programs do. */
export class RpcServer extends AcceptingServer<Connection> {
  readonly #parts: ServerParts;
  /** The same object for every connection: there may be thousands. */
  readonly #shared: ConnectionParts;
  readonly #peers = new WeakMap<Connection, SocketPeer>();
  readonly #adopted: Connection[] = [];

  constructor(parts: ServerParts) {
    super(parts);
    this.#parts = parts;
    this.#shared = {
      ...parts,
      budget: new InputBudget(),
      copies: new FrameCopies(),
      keyOf: (clientId) => clientKey(parts.ordinal, clientId),
      ended: (clientId, reason) => this.#ended(clientId, reason),
      crashed: (clientId, error) => parts.log.error(crashText(clientId, error)),
    };
  }

  /** See {@link ServerParts.ordinal}. */
  get ordinal(): number {
    return this.#parts.ordinal;
  }

  get nextClientId(): number {
    return this.acceptor.nextClientId;
  }

  set nextClientId(id: number) {
    this.acceptor.nextClientId = id;
  }

  /** Begins, or begins again, to accept; clients of an earlier image are served from here on. */
  override startAccepting(): void {
    if (!this.acceptor.stopped) return;
    for (const connection of this.#adopted.splice(0)) connection.start();
    super.startAccepting();
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
    ledger.own(client.fd, "client");
    const connection = this.#register(client.fd, peer);
    connection.restore(client.unserved, client.unsent);
    this.#adopted.push(connection);
    this.nextClientId = client.id + 1;
    return connection;
  }

  protected override crowd(): (() => string) | undefined {
    if (this.connections.size < this.#parts.limits.maxClients) return undefined;
    return () => counted(this.connections.size, "client");
  }

  protected override rejection({ pid, uid }: PeerCredentials): Rejection | undefined {
    const wanted = this.#parts.uid;
    if (uid === wanted) return undefined;
    return {
      kind: `uid ${uid}`,
      reason: `process ${pid} has uid ${uid}, wanted ${wanted}, the user that this daemon serves`,
    };
  }

  protected override admit(fd: number, peer: SocketPeer): void {
    const connection = this.#register(fd, peer);
    this.#parts.observer.connected(this, connection);
    connection.start();
  }

  #register(fd: number, peer: SocketPeer): Connection {
    const connection = new Connection(this.#shared, fd, peer);
    this.connections.set(peer.clientId, connection);
    this.#peers.set(connection, peer);
    return connection;
  }

  #ended(clientId: number, reason: string): void {
    const { sys, ledger, observer } = this.#parts;
    const connection = this.connections.get(clientId);
    invariant(connection !== undefined, `Client ${clientId} of server ${this.name} ended twice`);
    this.connections.delete(clientId);
    observer.disconnected(this, connection, reason);
    this.#peers.get(connection)?.release();
    // Explicit, because a copy of the socket may wait in the service manager's store.
    sys.shutdown(connection.fd);
    ledger.close(connection.fd);
    this.acceptor.reconsider(true);
  }
}
