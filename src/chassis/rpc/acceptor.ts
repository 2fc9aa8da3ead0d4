import { takeOut } from "../../base/lists.ts";
import { EPOLLIN } from "../../os/constants.ts";
import { EAGAIN, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { FileSys, PeerCredentials, ProcessSys, SocketSys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import type { EventLoop, Timer } from "../event/event_loop.ts";
import type { Log } from "../log/log.ts";
import { Repeats } from "../log/repeats.ts";
import type { Listener } from "./listener.ts";
import { openPeerPidfd, readCredentials, readSecurity, SocketPeer } from "./peer.ts";

/** After running out of descriptors, accepting is tried again at the latest after this many ms. */
const RETRY_MS = 500;

/** Why somebody is not taken as a client. */
export interface Rejection {
  /** What counts as the same in the log. */
  readonly kind: string;
  /** Behind "Refused a connection to server NAME: ". */
  readonly reason: string;
}

/** What accepting works with. */
export interface AcceptorParts {
  /** Name of the server. */
  readonly name: string;
  readonly sys: SocketSys & Pick<ProcessSys, "pidfdOpen"> & Pick<FileSys, "close">;
  readonly loop: Pick<EventLoop, "add" | "remove" | "after">;
  readonly ledger: DescriptorLedger;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Who is there, when there is no room for one more; undefined when there is. */
  readonly crowd: () => (() => string) | undefined;
  /** Why somebody may not be a client; undefined when they may. */
  readonly rejection: (credentials: PeerCredentials) => Rejection | undefined;
  /**
   * Takes a client. @param fd connected, non-blocking socket: the server's, in the ledger
   * @param peer its other end, the server's too
   */
  readonly admit: (fd: number, peer: SocketPeer, listener: Listener) => void;
}

/**
 * Accepts the clients of a server while there is room for them.
 *
 * At the limit of clients, and without descriptors, it stops accepting: connections wait in the backlog.
 */
export class Acceptor {
  readonly #parts: AcceptorParts;
  readonly #listeners: Listener[] = [];
  readonly #repeats: Repeats;
  #state: "yes" | "full" | "no-descriptors" | "stopped" = "stopped";
  #retry: Timer | undefined;
  #nextClientId = 1;

  constructor(parts: AcceptorParts) {
    this.#parts = parts;
    this.#repeats = new Repeats((milliseconds, task) => parts.loop.after(milliseconds, task));
  }

  get listeners(): readonly Listener[] {
    return this.#listeners;
  }

  /** Id of the next client. */
  get nextClientId(): number {
    return this.#nextClientId;
  }

  /** Ids below this one have been given. */
  set nextClientId(id: number) {
    this.#nextClientId = Math.max(this.#nextClientId, id);
  }

  /** Whether it was stopped, or has not begun. */
  get stopped(): boolean {
    return this.#state === "stopped";
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
      if (this.#state === "yes") loop.remove(old.fd);
      ledger.close(old.fd);
      takeOut(this.#listeners, old);
    }
    this.listen(listener);
    if (this.#state === "yes") this.#acceptFrom(listener);
  }

  /** Begins, or begins again, to accept. */
  start(): void {
    if (this.#state !== "stopped") return;
    this.#state = "full";
    this.reconsider();
  }

  /** Stops accepting; connections wait in the backlog. */
  stop(): void {
    this.#pause("stopped");
  }

  /**
   * Accepts while there is room, and not when there is none. To be called when that may have changed.
   *
   * @param retry whether there may be descriptors again
   */
  reconsider(retry = false): void {
    const crowd = this.#parts.crowd();
    switch (this.#state) {
      case "stopped":
        return;
      case "yes":
        if (crowd !== undefined) this.#tooMany(crowd());
        return;
      case "no-descriptors":
        if (!retry) return;
        break;
      case "full":
        break;
    }
    if (crowd !== undefined) {
      this.#state = "full";
      return;
    }
    this.#retry?.cancel();
    this.#state = "yes";
    for (const listener of this.#listeners) this.#acceptFrom(listener);
  }

  #tooMany(crowd: string): void {
    const { log, name } = this.#parts;
    this.#pause("full");
    this.#repeats.happened("full", (again) =>
      log.warn(
        `Server ${name} has ${crowd}, its limit: new ones wait until one leaves, or the limit is raised${again}`,
      ));
  }

  #acceptFrom(listener: Listener): void {
    // Who is connected is served first: what an accept takes is not time that a client waits for its reply.
    this.#parts.loop.add(listener.fd, EPOLLIN, () => void this.#accept(listener), "late");
  }

  /** One in a turn, so that a storm of connections does not keep the connected ones waiting. */
  #accept(listener: Listener): "accepted" | "nobody" {
    if (this.#state !== "yes") return "nobody";
    const fd = this.#parts.sys.accept(listener.fd);
    // Nobody is there, or the peer gave up before we took it.
    if (fd === -EAGAIN || fd === -ECONNABORTED) return "nobody";
    if (fd < 0) {
      this.#failed(fd);
      return "nobody";
    }
    this.#admit(fd, listener);
    return "accepted";
  }

  #failed(result: number): void {
    const { log, name, loop } = this.#parts;
    const error = new SystemError("accept4", `a client of ${name}`, result);
    const shortage = [EMFILE, ENFILE, ENOBUFS, ENOMEM].includes(error.errno);
    const next = shortage ? "new clients wait; raise what the service may use" : "trying again";
    this.#repeats.happened(`accept ${result}`, (again) => log.error(`${error.message}; ${next}${again}`));
    this.#pause("no-descriptors");
    this.#retry = loop.after(RETRY_MS, () => this.reconsider(true));
  }

  #admit(fd: number, listener: Listener): void {
    const { sys, ledger, log, rejection, now, admit } = this.#parts;
    let peer: SocketPeer;
    try {
      const credentials = readCredentials(sys, fd);
      const rejected = rejection(credentials);
      if (rejected !== undefined) return this.#turnAway(fd, rejected, (text) => log.warn(text));
      // Who has left without a word by now costs a third of what a client costs that comes and leaves.
      if (sys.peek(fd) === 0) return void sys.close(fd);
      const pidfd = openPeerPidfd(sys, fd, credentials.pid);
      peer = new SocketPeer(ledger, this.#nextClientId, credentials, readSecurity(sys, fd), now(), pidfd);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const failed = { kind: `admit ${error.errno}`, reason: error.message };
      return this.#turnAway(fd, failed, (text) => log.error(text));
    }
    this.#nextClientId++;
    ledger.own(fd, "client");
    admit(fd, peer, listener);
    this.reconsider();
  }

  #turnAway(fd: number, { kind, reason }: Rejection, tell: (text: string) => void): void {
    const { sys, name } = this.#parts;
    this.#repeats.happened(
      kind,
      (again) => tell(`Refused a connection to server ${name}: ${reason}${again}`),
    );
    sys.close(fd);
  }

  #pause(why: "full" | "no-descriptors" | "stopped"): void {
    if (this.#state === "yes") {
      for (const listener of this.#listeners) this.#parts.loop.remove(listener.fd);
    }
    this.#state = why;
  }
}
