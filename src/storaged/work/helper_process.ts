import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { DAEMON_SIGNALS } from "../../chassis/start/signals.ts";
import { EPOLLIN, EPOLLOUT, O_CLOEXEC, O_RDWR, SIGKILL, SOCK_SEQPACKET } from "../../os/constants.ts";
import { EAGAIN, ECONNRESET } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import { livingOf } from "./program_tree.ts";
import {
  batchOf,
  encodePieces,
  type FromHelper,
  PIECE_SIZE,
  PieceReader,
  type ToHelper,
  WORK_COMMAND,
} from "./work_message.ts";

/** How to start this program again. */
export interface ProgramImage {
  readonly path: string;
  /** Command line up to the program's own arguments. */
  readonly base: readonly string[];
  /** `NAME=value` */
  readonly env: readonly string[];
}

/** What a helper process needs of the daemon. */
export interface HelperParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly self: ProgramImage;
}

/** Who uses a helper process. */
export interface HelperUser {
  received(message: FromHelper): void;
  /** A part of what the operation under way brings; the bytes may be kept. */
  batch(bytes: Uint8Array): void;
  /** The process has gone, and every program that it has started; once. */
  ended(): void;
}

const STANDARD_ERROR = 2;
/** So often is it looked whether a program of a helper that has gone is still there, in ms. */
const REMAINS_MS = 200;

/** A piece that waits to be sent, with what goes along. */
interface Piece {
  readonly bytes: Uint8Array;
  readonly descriptors: readonly number[];
}

/** The daemon's end of a helper process. The process is its child and leads a session of its own. */
export class HelperProcess {
  readonly pid: number;
  readonly #parts: HelperParts;
  readonly #user: HelperUser;
  readonly #fd: number;
  readonly #pidfd: number;
  readonly #reader = new PieceReader<FromHelper>();
  readonly #outbox: Piece[] = [];
  #open = true;
  #gone = false;

  /**
   * Starts one.
   *
   * @throws SystemError when the kernel refuses it
   */
  constructor(parts: HelperParts, user: HelperUser, buffer: Uint8Array) {
    const { sys, loop, ledger, self } = parts;
    this.#parts = parts;
    this.#user = user;
    const pair = sys.socketPair(SOCK_SEQPACKET);
    if (typeof pair === "number") throw new SystemError("socketpair", "storage helper", pair);
    const [near, far] = pair;
    const nothing = sys.open("/dev/null", O_RDWR | O_CLOEXEC, 0);
    const pid = nothing < 0 ? nothing : sys.spawn({
      path: self.path,
      argv: [...self.base, WORK_COMMAND],
      env: self.env,
      descriptors: [nothing, nothing, STANDARD_ERROR, far],
      // It ends when the daemon does, and not with a signal that is meant for that.
      blockedSignals: DAEMON_SIGNALS,
      newSession: true,
    });
    sys.close(far);
    if (nothing >= 0) sys.close(nothing);
    const pidfd = pid < 0 ? pid : sys.pidfdOpen(pid);
    if (pidfd < 0) {
      sys.close(near);
      if (pid > 0) {
        sys.kill(-pid, SIGKILL);
        sys.waitChild(pid, true, new Int32Array(1));
      }
    }
    must(pid, "Start", "a storage helper");
    must(pidfd, "pidfd_open", "a storage helper");
    this.pid = pid;
    this.#fd = ledger.own(near, "helper");
    this.#pidfd = ledger.own(pidfd, "helper");
    loop.add(near, EPOLLIN, (events) => this.#ready(events, buffer));
    loop.add(pidfd, EPOLLIN, () => this.#ended(buffer));
  }

  /**
   * Sends a message; descriptors go along as copies.
   *
   * @param descriptors closed once they are sent, or cannot be
   */
  send(message: ToHelper, descriptors: readonly number[] = []): void {
    encodePieces(message).forEach((bytes, index) =>
      this.#outbox.push({ bytes, descriptors: index === 0 ? descriptors : [] })
    );
    this.#flush();
  }

  /** Ends it and what it has started at once; {@link HelperUser.ended} comes when the kernel says so. */
  kill(): void {
    if (!this.#gone) this.#parts.sys.kill(-this.pid, SIGKILL);
  }

  /** Lets it go: it ends when it has done what it does. */
  close(): void {
    if (!this.#open) return;
    const { loop, ledger } = this.#parts;
    this.#open = false;
    loop.remove(this.#fd);
    ledger.close(this.#fd);
    this.#drop();
  }

  #flush(): void {
    const { sys, loop } = this.#parts;
    for (let next = this.#outbox[0]; next !== undefined && this.#open; next = this.#outbox[0]) {
      const sent = sys.sendMessage(this.#fd, next.bytes, next.descriptors);
      if (sent === -EAGAIN) return loop.modify(this.#fd, EPOLLIN | EPOLLOUT);
      // One that does not get what it is to do can only be ended; its end is told of by its pidfd.
      if (sent < 0) {
        this.kill();
        return this.#drop();
      }
      this.#outbox.shift();
      for (const fd of next.descriptors) sys.close(fd);
    }
    if (this.#open) loop.modify(this.#fd, EPOLLIN);
  }

  #drop(): void {
    for (const { descriptors } of this.#outbox.splice(0)) {
      for (const fd of descriptors) this.#parts.sys.close(fd);
    }
  }

  #ready(events: number, buffer: Uint8Array): void {
    if ((events & EPOLLOUT) !== 0) this.#flush();
    this.#receive(buffer);
  }

  #receive(buffer: Uint8Array): void {
    while (this.#open) {
      const received = this.#parts.sys.receiveMessage(this.#fd, buffer, false);
      if (received === -ECONNRESET) continue;
      if (typeof received === "number") return;
      if (received.length === 0) return this.#parts.loop.remove(this.#fd);
      const piece = buffer.subarray(0, received.length);
      const batch = batchOf(piece);
      if (batch !== undefined) {
        this.#user.batch(batch);
        continue;
      }
      const message = this.#reader.add(piece);
      if (message !== undefined) this.#user.received(message);
    }
  }

  #ended(buffer: Uint8Array): void {
    const { sys, loop, ledger } = this.#parts;
    this.#receive(buffer);
    // A program of one that was killed would go on unseen. The number is its own until it is reaped.
    if (this.#open) sys.kill(-this.pid, SIGKILL);
    this.#gone = true;
    loop.remove(this.#pidfd);
    ledger.close(this.#pidfd);
    sys.waitChild(this.pid, true, new Int32Array(1));
    this.close();
    this.#whenAlone();
  }

  /** A program that hangs in the kernel goes on there, killed as it is, and is in the helper's group. */
  #whenAlone(known?: string): void {
    const { sys, loop } = this.#parts;
    const living = livingOf(sys, this.pid, known);
    if (living === undefined) return this.#user.ended();
    loop.after(REMAINS_MS, () => this.#whenAlone(living));
  }
}

/** Bytes of the buffer that all helper processes share. */
export const HELPER_BUFFER = PIECE_SIZE;
