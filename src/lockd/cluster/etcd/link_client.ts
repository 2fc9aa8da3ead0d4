import { LineReader } from "../../../base/line_reader.ts";
import type { EventLoop, Timer } from "../../../chassis/event/event_loop.ts";
import {
  type Answer,
  decodeFromLink,
  encodeLine,
  type Endpoints,
  LINK_PROTOCOL,
  LONGEST_LINE,
  type Question,
  type ToLink,
} from "../../../etcd/wire/link_messages.ts";
import { suits } from "../../../etcd/wire/suits.ts";
import { EPOLLIN, EPOLLOUT, SOCK_STREAM } from "../../../os/constants.ts";
import { EAGAIN, ECONNREFUSED, ENOENT } from "../../../os/errno.ts";
import type { DescriptorLedger } from "../../../os/ledger.ts";
import type { FileSys, SocketSys } from "../../../os/sys.ts";
import { SystemError } from "../../../os/system_error.ts";
import { decodeText, encodeText } from "../../../os/text.ts";
import { LINK_INSTALL, LINK_LOG } from "../host/services.ts";
import type { Etcd } from "./etcd.ts";

/**
 * Pause before the link is connected again, in ms. Each try has systemd start a process, which takes about as
 * long; whoever waits for a lock has seconds.
 */
const RECONNECT_MS = 500;
/**
 * The same when the link has said that it cannot work, as without a certificate: that a person has to mend,
 * and until then each try costs the start of a process.
 */
const UNUSABLE_MS = 3000;
/**
 * How long a link may take until it can be asked, in ms: a process is started, on a host where everything
 * else may be started too. One that takes longer hangs, and the next one may not.
 */
const START_MS = 30_000;
/**
 * How much longer than the link itself the daemon waits for an answer, in ms. The link answers in time by its
 * own clock, so an answer that is later than that means a link that hangs; the margin is for a busy host,
 * where either process may not run for some hundred milliseconds. It begins when the daemon comes to see that
 * the time is over: one that was held up itself has not read yet what has come meanwhile.
 */
const MARGIN_MS = 500;
/**
 * What is read in one turn of the loop: the answers to some hundred questions. A longer one comes in pieces.
 */
const READ_SIZE = 64 * 1024;

/** What a link's end in the daemon needs. */
export interface LinkClientParts {
  readonly sys: Pick<SocketSys, "socket" | "connect" | "send"> & Pick<FileSys, "read" | "close">;
  readonly loop: Pick<EventLoop, "add" | "remove" | "modify" | "after" | "defer">;
  readonly ledger: DescriptorLedger;
  /** Where a link is started for whoever connects. */
  readonly socket: string;
  readonly endpoints: Endpoints;
  /** Told when questions can be put, from now on or again. */
  readonly opened: () => void;
}

interface Asked {
  readonly question: Question;
  readonly done: (answer: Answer) => void;
  readonly limit: LinkLimit;
}

/** A time limit of what the link is to do. */
class LinkLimit {
  #timer: Timer;

  /** @param over called when it is over, and the daemon has had the time to read what has come until then */
  constructor(loop: Pick<EventLoop, "after">, milliseconds: number, over: () => void) {
    this.#timer = loop.after(milliseconds, () => {
      this.#timer = loop.after(MARGIN_MS, over);
    });
  }

  cancel(): void {
    this.#timer.cancel();
  }
}

/**
 * The daemon's end of the link with etcd. The link is another process; when it ends or hangs, what it was
 * asked has an unknown outcome, and another one is connected.
 */
export class LinkClient implements Etcd {
  readonly #parts: LinkClientParts;
  readonly #buffer = new Uint8Array(READ_SIZE);
  readonly #asked = new Map<number, Asked>();
  #fd = -1;
  #opened = false;
  #closed = false;
  /** Ends a link that cannot be asked in time. */
  #starting: LinkLimit | undefined;
  /** Why it does not work, or did not the last time. */
  #reason = "it is just being connected";
  /** Why the link that is connected cannot work, by its own word. */
  #told: string | undefined;
  #nextId = 1;
  /** Bytes that the socket has not taken yet. */
  #unsent: Uint8Array[] = [];
  readonly #lines = new LineReader(LONGEST_LINE);

  constructor(parts: LinkClientParts) {
    this.#parts = parts;
    this.#connect();
  }

  get unreachable(): string | undefined {
    return this.#opened ? undefined : `the link with etcd does not work: ${this.#reason}`;
  }

  get starting(): boolean {
    return this.#fd >= 0 && !this.#opened;
  }

  ask(question: Question, limitMs: number, done: (answer: Answer) => void): void {
    const { loop } = this.#parts;
    const { unreachable } = this;
    if (unreachable !== undefined) {
      // Nothing of it was sent.
      return loop.defer(() => done({ kind: "refused", reason: unreachable }));
    }
    const id = this.#nextId++;
    const limit = new LinkLimit(loop, limitMs, () => {
      // It gives an answer by itself in time, whatever etcd does: it hangs.
      this.#ended("it has not answered in time");
    });
    this.#asked.set(id, { question, done, limit });
    this.#send({ kind: "ask", id, limitMs, question });
  }

  /** Ends the link; nobody is told any more. */
  close(): void {
    this.#closed = true;
    for (const { limit } of this.#asked.values()) limit.cancel();
    this.#asked.clear();
    this.#disconnect();
  }

  #connect(): void {
    const { sys, socket } = this.#parts;
    const fd = sys.socket(SOCK_STREAM, true);
    if (fd < 0) return this.#later(new SystemError("socket", "link with etcd", fd).message);
    const connected = sys.connect(fd, socket);
    if (connected < 0) {
      sys.close(fd);
      const nobody = connected === -ENOENT || connected === -ECONNREFUSED;
      const advice = nobody ? `: nobody listens there; ${LINK_INSTALL}` : "";
      return this.#later(`${new SystemError("connect", socket, connected).message}${advice}`);
    }
    try {
      this.#parts.loop.add(fd, EPOLLIN, (events) => this.#event(events));
    } catch (error) {
      sys.close(fd);
      if (!(error instanceof SystemError)) throw error;
      return this.#later(error.message);
    }
    this.#fd = this.#parts.ledger.own(fd, "cluster");
    this.#told = undefined;
    this.#starting = new LinkLimit(this.#parts.loop, START_MS, () => {
      this.#ended(
        `its process was not ready within ${START_MS / 1000} s: ${LINK_LOG} says how far it has come`,
      );
    });
    this.#send({ kind: "open", protocol: LINK_PROTOCOL, endpoints: this.#parts.endpoints });
  }

  #later(reason: string, pause = RECONNECT_MS): void {
    this.#reason = reason;
    this.#parts.loop.after(pause, () => {
      if (!this.#closed) this.#connect();
    });
  }

  #event(events: number): void {
    if ((events & EPOLLOUT) !== 0) this.#flush();
    if ((events & ~EPOLLOUT) !== 0) this.#readable();
  }

  /** Reads once: of more the loop tells anew, when everybody else has had a turn. */
  #readable(): void {
    const length = this.#parts.sys.read(this.#fd, this.#buffer);
    if (length === -EAGAIN) return;
    if (length < 0) return this.#ended(new SystemError("read", "link with etcd", length).message);
    if (length === 0) {
      const log = this.#opened ? "" : ` before it was ready: ${LINK_LOG} says why`;
      return this.#ended(`its process has ended${log}`);
    }
    this.#received(this.#buffer.slice(0, length));
  }

  #received(bytes: Uint8Array): void {
    const lines = this.#lines.read(bytes);
    if (lines === undefined) return this.#ended("it has sent a line that is too long for a message");
    for (const line of lines) {
      this.#message(line);
      if (this.#fd < 0) return;
    }
  }

  #message(line: Uint8Array): void {
    const message = decodeFromLink(decodeText(line, 0, line.length));
    if (message === undefined) return this.#ended("it has sent a line that is no message");
    switch (message.kind) {
      case "opened":
        if (this.#opened) return this.#ended("it has said twice that it is ready");
        if (message.protocol !== LINK_PROTOCOL) {
          return this.#ended(`it speaks version ${message.protocol}, and the daemon ${LINK_PROTOCOL}`);
        }
        this.#starting?.cancel();
        this.#opened = true;
        return this.#parts.opened();
      case "unusable":
        this.#told = message.reason;
        return;
      case "answer": {
        const { id, answer } = message;
        const asked = this.#asked.get(id);
        // None comes behind its time: a link that is late is ended, and the next one knows nothing of it.
        if (asked === undefined) return this.#ended("it has answered what it was not asked");
        if (!suits(asked.question, answer)) {
          return this.#ended("it has answered another question than it was asked");
        }
        return this.#answered(id, asked, answer);
      }
    }
  }

  #answered(id: number, asked: Asked, answer: Answer): void {
    this.#asked.delete(id);
    asked.limit.cancel();
    asked.done(answer);
  }

  #ended(how: string): void {
    // A link that gives up may leave unread what was sent to it, which the kernel tells as an error.
    const reason = this.#told ?? how;
    this.#disconnect();
    this.#later(reason, this.#told === undefined ? RECONNECT_MS : UNUSABLE_MS);
    for (const [id, asked] of [...this.#asked]) {
      // Whoever was told just now may have closed it.
      if (this.#closed) return;
      this.#answered(id, asked, { kind: "unknown", reason: `the link with etcd has ended: ${reason}` });
    }
  }

  #disconnect(): void {
    this.#starting?.cancel();
    if (this.#fd >= 0) {
      this.#parts.loop.remove(this.#fd);
      this.#parts.ledger.close(this.#fd);
    }
    this.#fd = -1;
    this.#opened = false;
    this.#unsent = [];
    this.#lines.clear();
  }

  #send(message: ToLink): void {
    this.#unsent.push(encodeText(encodeLine(message)));
    if (this.#unsent.length === 1) this.#flush();
  }

  #flush(): void {
    for (let next = this.#unsent[0]; next !== undefined; next = this.#unsent[0]) {
      const sent = this.#parts.sys.send(this.#fd, next);
      if (sent === next.length) {
        this.#unsent.shift();
        continue;
      }
      // Of a link that has gone the loop tells as soon as it is read.
      if (sent < 0 && sent !== -EAGAIN) break;
      if (sent > 0) this.#unsent[0] = next.subarray(sent);
      return this.#parts.loop.modify(this.#fd, EPOLLIN | EPOLLOUT);
    }
    this.#parts.loop.modify(this.#fd, EPOLLIN);
  }
}
