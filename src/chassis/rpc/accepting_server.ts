import type { PeerCredentials } from "../../os/sys.ts";
import { Acceptor, type AcceptorParts, type Rejection } from "./acceptor.ts";
import type { ClientLimits } from "./client_limits.ts";
import type { Listener } from "./listener.ts";
import type { SocketPeer } from "./peer.ts";

/** What every server needs. */
export interface AcceptingParts extends Omit<AcceptorParts, "crowd" | "rejection" | "admit"> {
  /** Limits that an administrator may change. */
  readonly limits: ClientLimits;
}

/** A server as daemons and administrators see it: name, limits, listening sockets, and who is connected. */
export abstract class AcceptingServer<Client> {
  /** Name in the admin protocol. */
  readonly name: string;
  protected readonly acceptor: Acceptor;
  protected readonly connections = new Map<number, Client>();
  readonly #limits: ClientLimits;

  protected constructor(parts: AcceptingParts) {
    this.name = parts.name;
    this.#limits = parts.limits;
    this.acceptor = new Acceptor({
      ...parts,
      crowd: () => this.crowd(),
      rejection: (credentials) => this.rejection(credentials),
      admit: (fd, peer, listener) => this.admit(fd, peer, listener),
    });
  }

  /** Limits; change them with {@link setLimits}. */
  get limits(): Readonly<ClientLimits> {
    return this.#limits;
  }

  get listeners(): readonly Listener[] {
    return this.acceptor.listeners;
  }

  /** Connections by client id, oldest first. */
  get clients(): ReadonlyMap<number, Client> {
    return this.connections;
  }

  /** Changes the limits; takes effect at once. */
  setLimits(limits: Partial<ClientLimits>): void {
    Object.assign(this.#limits, limits);
    this.acceptor.reconsider();
  }

  /** See {@link Acceptor.listen}. */
  listen(listener: Listener): void {
    this.acceptor.listen(listener);
  }

  /** See {@link Acceptor.listenInstead}. */
  listenInstead(listener: Listener): void {
    this.acceptor.listenInstead(listener);
  }

  /** Begins, or begins again, to accept. */
  startAccepting(): void {
    this.acceptor.start();
  }

  /** Stops accepting; connections wait in the backlog. */
  stopAccepting(): void {
    this.acceptor.stop();
  }

  /** See {@link AcceptorParts.crowd}. */
  protected abstract crowd(): (() => string) | undefined;

  /** See {@link AcceptorParts.rejection}. */
  protected abstract rejection(credentials: PeerCredentials): Rejection | undefined;

  /** See {@link AcceptorParts.admit}. */
  protected abstract admit(fd: number, peer: SocketPeer, listener: Listener): void;
}
