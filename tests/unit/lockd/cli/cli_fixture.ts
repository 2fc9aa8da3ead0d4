import { type Arguments, parseArguments } from "../../../../src/chassis/cli/arguments.ts";
import { tokenizerFor } from "../../../../src/chassis/config/option_tokens.ts";
import type { Command, CommandContext } from "../../../../src/chassis/cli/command.ts";
import type { Output } from "../../../../src/chassis/cli/output.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import type { LockEntry, StatusDocument } from "../../../../src/lockd/status/status_document.ts";
import { emptyHeader, encodeFrame, FRAME_MIN, readHeader } from "../../../../src/chassis/wire/frame.ts";
import { encodeRpcFailure, RpcFailure } from "../../../../src/chassis/wire/rpc_error.ts";
import {
  decodePageArgs,
  decodeReleaseArgs,
  encodePage,
  type Page,
  type ReleaseArgs,
  StatusProcedure,
} from "../../../../src/lockd/wire/status_protocol.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";

const tokensOf = await tokenizerFor(["--all"]);
const FD = 1000;
const EAGAIN = 11;

/** What a played daemon does with a question. */
export type Reaction = Page | RpcFailure | Uint8Array | "silence" | "end";

/** A daemon played at the system calls of its client. */
export class PlayedDaemon {
  /** Socket paths that were connected to. */
  readonly connected: string[] = [];
  /** Locks that were to be released. */
  readonly orders: ReleaseArgs[] = [];
  /** Results of connect(2), one after the other; 0 when they are used up. */
  readonly connectResults: number[] = [];
  /** How many connections are open. */
  open = 0;
  /** Most bytes of an answer that one read brings. */
  chunk = Infinity;
  /** Uid of the daemon's process. */
  uid = 0;
  readonly #react: (procedure: number, cursor: string) => Reaction;
  #answer = new Uint8Array(0);
  #ended = false;
  #clock = 0;

  constructor(react: (procedure: number, cursor: string) => Reaction) {
    this.#react = react;
  }

  /** Milliseconds that its client has waited. */
  get waited(): number {
    return this.#clock;
  }

  /** The kernel, with this daemon in it. */
  get sys(): Sys {
    const real = linuxSys();
    return {
      ...real,
      uid: () => 0,
      monotonic: () => this.#clock,
      socket: () => {
        this.open++;
        return FD;
      },
      connect: (_fd, path) => {
        this.connected.push(path);
        return this.connectResults.shift() ?? 0;
      },
      send: (_fd, bytes) => this.#receive(bytes),
      pollReadable: (fd, timeout) => {
        if (fd === FD && (this.#answer.length > 0 || this.#ended)) return 1;
        this.#clock += timeout;
        return 0;
      },
      read: (fd, into) => {
        if (fd !== FD) return real.read(fd, into);
        if (this.#answer.length === 0) return this.#ended ? 0 : -EAGAIN;
        const count = Math.min(this.chunk, into.length, this.#answer.length);
        into.set(this.#answer.subarray(0, count));
        this.#answer = this.#answer.slice(count);
        return count;
      },
      peerCredentials: (_fd, into) => {
        Object.assign(into, { pid: 1, uid: this.uid, gid: 0 });
        return 0;
      },
      close: (fd) => {
        if (fd !== FD) return real.close(fd);
        this.open--;
        return 0;
      },
    };
  }

  #receive(bytes: Uint8Array): number {
    const header = emptyHeader();
    readHeader(bytes, 0, header);
    const reader = new XdrReader(bytes.slice(), FRAME_MIN);
    if (header.procedure === StatusProcedure.RELEASE) this.orders.push(decodeReleaseArgs(reader));
    const cursor = header.procedure === StatusProcedure.RELEASE ? "" : decodePageArgs(reader).cursor;
    const reaction = this.#react(header.procedure, cursor);
    if (reaction === "end") this.#ended = true;
    else if (reaction instanceof Uint8Array) this.#answer = reaction.slice();
    else if (reaction !== "silence") {
      const writer = new XdrWriter();
      if (reaction instanceof RpcFailure) encodeRpcFailure(writer, reaction);
      else encodePage(writer, reaction);
      const status = reaction instanceof RpcFailure ? 1 : 0;
      this.#answer = encodeFrame({ ...header, type: 1, status }, writer.copy());
    }
    return bytes.length;
  }
}

/** A page that is the only one. */
export function onlyPage(document: unknown): Page {
  return { json: JSON.stringify(document), next: "" };
}

/** A daemon with these answers. */
export function daemonWith(
  { locks = [], status = STATUS, metrics = "" }: {
    locks?: readonly LockEntry[];
    status?: StatusDocument;
    metrics?: string;
  },
): PlayedDaemon {
  const documents = [undefined, status, locks, [], metrics];
  return new PlayedDaemon((procedure) => onlyPage(documents[procedure]));
}

/** Output that is kept. */
export class TextOutput implements Output {
  text = "";

  write(text: string): void {
    this.text += text;
  }
}

/** What a command works with. */
export function context(sys: Sys, parts: Partial<CommandContext> = {}): CommandContext & { out: TextOutput } {
  const out = new TextOutput();
  const alone = { confirm: () => "nobody" as const, warn: () => {} };
  return { sys, env: { HOME: "/home/user" }, ...alone, now: () => 0, ...parts, out };
}

/** A command's arguments, understood. */
export function given(command: Command, ...args: string[]): Arguments {
  const parsed = parseArguments(command, args, tokensOf);
  if (parsed === "help") throw new Error("Expected arguments, got --help");
  return parsed;
}

/** A lock; parts may be replaced. */
export function lock(parts: Partial<LockEntry> & { id: number }): LockEntry {
  const { id } = parts;
  return {
    lockspace: "/ls",
    resource: `r${id}`,
    path: `/ls/r${id}`,
    mode: "exclusive",
    autocreate: false,
    state: "held",
    kind: "ofd",
    holders: [{ domain: `guest${id}`, uuid: UUID, id: 1, pid: 40 + id, since: 1_795_266_578_207, times: 1 }],
    ...parts,
  };
}

/** Uuid of every guest here. */
export const UUID = "6ba7b810-9dad-41d1-80b4-00000000002a";

/** A daemon that is well and has nothing to do. */
export const STATUS: StatusDocument = {
  version: "1.0.0",
  pid: 77,
  started: 1_795_266_578_207,
  uptime: 3_700,
  reExecs: 0,
  servers: [
    { name: "virtlockd", clients: 3, clientsMax: 1024 },
    { name: "admin", clients: 1, clientsMax: 5000 },
  ],
  locks: { exclusive: 2, shared: 1, lockspaces: 2, holders: 3, dying: 0, settling: 0, doubtful: 0, posix: 0 },
  descriptors: { open: 31, limit: 20000 },
  idleTimeout: 0,
  logging: { level: 3, filters: "", outputs: "3:stderr" },
  sections: { storage: {} },
};
