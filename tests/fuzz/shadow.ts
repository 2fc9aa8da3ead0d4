import { ADMIN_PROGRAM } from "../../src/chassis/wire/admin_protocol.ts";
import {
  emptyHeader,
  FRAME_MAX,
  FRAME_MIN,
  type Header,
  MessageType,
  readHeader,
} from "../../src/chassis/wire/frame.ts";
import { KEEPALIVE_PROGRAM } from "../../src/chassis/wire/keepalive.ts";
import {
  decodeCreateLockspace,
  decodeNew,
  decodeRegister,
  decodeResource,
  decodeRestrict,
  LOCK_PROGRAM,
} from "../../src/lockd/wire/lock_protocol.ts";
import { decodePageArgs, STATUS_PROGRAM } from "../../src/lockd/wire/status_protocol.ts";
import * as admin from "../../src/chassis/wire/admin_protocol.ts";
import { XdrError } from "../../src/chassis/wire/xdr_error.ts";
import { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";

type Decoder = (reader: XdrReader) => unknown;

const LOCK_DECODERS: readonly (Decoder | undefined)[] = [
  undefined,
  decodeRegister,
  decodeRestrict,
  decodeNew,
  decodeResource,
  decodeResource,
  decodeResource,
  decodeResource,
  decodeCreateLockspace,
];
const ADMIN_DECODERS: readonly (Decoder | undefined)[] = [
  undefined,
  admin.decodeFlags,
  () => undefined,
  () => undefined,
  admin.decodeListServers,
  admin.decodeServerArgs,
  admin.decodeServerArgs,
  admin.decodeSetParams,
  admin.decodeListClients,
  admin.decodeLookupClient,
  admin.decodeClientArgs,
  admin.decodeClientArgs,
  admin.decodeServerArgs,
  admin.decodeSetParams,
  admin.decodeFlags,
  admin.decodeFlags,
  admin.decodeSetLogging,
  admin.decodeSetLogging,
  admin.decodeServerArgs,
  admin.decodeTimeout,
  admin.decodeFlags,
];
const STATUS_DECODERS: readonly (Decoder | undefined)[] = [
  undefined,
  decodePageArgs,
  decodePageArgs,
  decodePageArgs,
  decodePageArgs,
];

/** Programs of a socket with the decoders of their procedures. */
export type Offered = ReadonlyMap<number, readonly (Decoder | undefined)[]>;

/** What the socket for libvirt offers. */
export const LOCK_SOCKET: Offered = new Map([[LOCK_PROGRAM, LOCK_DECODERS]]);
/** What the admin socket offers. */
export const ADMIN_SOCKET: Offered = new Map([[ADMIN_PROGRAM, ADMIN_DECODERS], [
  STATUS_PROGRAM,
  STATUS_DECODERS,
]]);

/** A request that decodes: what its outcome has to be. */
export type Judgement =
  /** Whatever the state of the daemon says. */
  | "free"
  /** It must not succeed. */
  | "must-fail"
  /** It must not be sent at all. */
  | "forbidden";

/** Judges a request by its arguments, which are what the decoder of its procedure returns. */
export type Judge = (program: number, procedure: number, args: unknown) => Judgement;

/** What the daemon owes for a message. */
export type Owed =
  | { readonly kind: "pong" }
  /** `refused`: by the dispatcher, with code RPC. */
  | { readonly kind: "reply"; readonly header: Header; readonly outcome: "refused" | "free" | "must-fail" };

/**
 * Reads what a client sends as docs/protocol.md says that the daemon has to, and knows the answers that are
 * due. It shares nothing with the daemon but the decoders of arguments.
 */
export class Shadow {
  readonly #offered: Offered;
  readonly #judge: Judge;
  #pending = new Uint8Array(0);
  #closed = false;

  constructor(offered: Offered, judge: Judge) {
    this.#offered = offered;
    this.#judge = judge;
  }

  /** Whether the daemon has to close the connection. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * How many bytes are still missing of the message that has begun; 0 when none has or its length is not
   * known.
   */
  get missing(): number {
    if (this.#closed || this.#pending.length < 4) return 0;
    return Math.max(0, this.#total(this.#pending, 0) - this.#pending.length);
  }

  /** Whether a message has begun that has not come whole. */
  get unfinished(): boolean {
    return this.#pending.length > 0;
  }

  /**
   * Takes bytes that are about to be sent.
   *
   * @returns what is due for them; undefined when something in them is forbidden, and nothing was taken then
   */
  push(chunk: Uint8Array): Owed[] | undefined {
    const bytes = new Uint8Array(this.#pending.length + chunk.length);
    bytes.set(this.#pending);
    bytes.set(chunk, this.#pending.length);
    const owed: Owed[] = [];
    let at = 0;
    let closed = this.#closed;
    while (!closed && bytes.length - at >= 4) {
      const total = this.#total(bytes, at);
      if (total < 0) closed = true;
      if (total <= 0 || total > bytes.length - at) break;
      const due = this.#message(bytes.subarray(at, at + total));
      if (due === "forbidden") return undefined;
      if (due !== undefined) owed.push(due);
      at += total;
    }
    this.#pending = bytes.slice(at);
    this.#closed = closed;
    return owed;
  }

  /**
   * Length of a message with its descriptor bytes; 0 when more is needed to tell, -1 when the connection has
   * to be closed.
   */
  #total(bytes: Uint8Array, at: number): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
    const length = view.getUint32(0);
    if (length < FRAME_MIN || length > FRAME_MAX) return -1;
    if (view.byteLength < FRAME_MIN) return 0;
    if (view.getUint32(16) !== MessageType.CALL_WITH_FDS) return length;
    if (length < FRAME_MIN + 4) return -1;
    if (view.byteLength < FRAME_MIN + 4) return 0;
    const descriptors = view.getUint32(FRAME_MIN);
    return descriptors > 32 ? -1 : length + descriptors;
  }

  #message(bytes: Uint8Array): Owed | "forbidden" | undefined {
    const header = emptyHeader();
    readHeader(bytes, 0, header);
    const { program, version, procedure, type, status } = header;
    if (program === KEEPALIVE_PROGRAM && version === 1 && type === MessageType.MESSAGE && procedure === 1) {
      return { kind: "pong" };
    }
    const decoders = version === 1 ? this.#offered.get(program) : undefined;
    const withFds = type === MessageType.CALL_WITH_FDS;
    if (type !== MessageType.CALL && !(withFds && decoders !== undefined)) return undefined;
    const refused = { kind: "reply", header, outcome: "refused" } as const;
    const decode = decoders?.[procedure];
    if (decode === undefined || status !== 0) return refused;
    try {
      const args = decode(new XdrReader(bytes, FRAME_MIN + (withFds ? 4 : 0)));
      const outcome = this.#judge(program, procedure, args);
      return outcome === "forbidden" ? outcome : { kind: "reply", header, outcome };
    } catch (error) {
      if (error instanceof XdrError) return refused;
      throw error;
    }
  }
}
