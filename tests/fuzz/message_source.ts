import { encodePing } from "../support/keepalive_codec.ts";
import { encodeFrame, FRAME_MIN, MessageType } from "../../src/chassis/wire/frame.ts";
import { ADMIN_PROGRAM } from "../../src/chassis/wire/admin_protocol.ts";
import { encodeSetParams } from "../support/admin_codec.ts";
import { LOCK_PROGRAM, LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import {
  encodeCreateLockspace,
  encodeNew,
  encodeRegister,
  encodeResource,
  encodeRestrict,
} from "../support/lock_codec.ts";
import { STATUS_PROGRAM } from "../../src/lockd/wire/status_protocol.ts";
import { ParamType } from "../../src/chassis/wire/typed_param.ts";
import { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import type { Random } from "../support/random.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What valid messages speak of. */
export interface Vocabulary {
  /** Paths of lockspaces, some of which exist; without the default one. */
  readonly lockspaces: readonly string[];
  /** Names of resources in them. */
  readonly names: readonly string[];
  /** Names of resources in the default lockspace: paths of files. */
  readonly files: readonly string[];
  readonly pids: readonly number[];
  /** Whether most messages are for the admin socket. */
  readonly admin: boolean;
}

/** Numbers at which lengths, counts and sizes go wrong. */
const EDGES = [
  0,
  1,
  2,
  3,
  4,
  5,
  27,
  28,
  29,
  31,
  32,
  33,
  255,
  4096,
  65535,
  65536,
  65537,
  0x7fffffff,
  0x80000000,
]
  .concat([4194304, 4194305, 33554432, 33554436, 33554437, 0xfffffffe, 0xffffffff]);
const PROGRAMS = [LOCK_PROGRAM, ADMIN_PROGRAM, STATUS_PROGRAM, 0x6b656570, 0, 0x12345678, 0xffffffff];

/** Makes messages: most of them valid, the others spoilt in one or more places. */
export class MessageSource {
  readonly #random: Random;
  readonly #words: Vocabulary;
  #serial = 0;

  constructor(random: Random, words: Vocabulary) {
    this.#random = random;
    this.#words = words;
  }

  /** The next message. */
  next(): Bytes {
    const random = this.#random;
    // Who is not registered gets nowhere.
    if (this.#serial === 0 && !this.#words.admin && !random.once(8)) return this.#register(0);
    if (random.once(400)) return random.bytes(random.below(200));
    const message = random.once(12) ? this.#oddCall() : this.#call();
    return random.once(4) ? this.#spoil(message) : message;
  }

  #call(): Bytes {
    const random = this.#random;
    if (random.once(20)) return encodePing();
    return this.#words.admin && !random.once(10) ? this.#adminCall() : this.#lockCall();
  }

  #lockCall(): Bytes {
    const random = this.#random;
    const flags = random.once(15) ? random.pick(EDGES) : random.below(4);
    const plain = random.once(15) ? random.pick(EDGES) : 0;
    const kind = random.below(20);
    if (kind < 3) return this.#register(plain);
    if (kind === 4 && random.once(10)) {
      return this.#frame(LockProcedure.RESTRICT, (writer) => encodeRestrict(writer, { flags: plain }));
    }
    const path = this.#text(random.pick(this.#words.lockspaces));
    if (kind === 5) {
      return this.#frame(LockProcedure.NEW, (writer) => encodeNew(writer, { path, flags: plain }));
    }
    if (kind === 6) {
      return this.#frame(LockProcedure.CREATE_LOCKSPACE, (writer) => encodeCreateLockspace(writer, { path }));
    }
    const args = random.once(3)
      ? { path: "", name: this.#text(random.pick(this.#words.files)) }
      : { path, name: this.#text(random.pick(this.#words.names)) };
    const procedure = random.pick([4, 5, 6, 6, 6, 7, 7, 7]);
    const used = procedure === LockProcedure.ACQUIRE_RESOURCE ? flags : plain;
    return this.#frame(procedure, (writer) => encodeResource(writer, { ...args, flags: used }));
  }

  #register(flags: number): Bytes {
    const random = this.#random;
    const owner = {
      uuid: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
      name: this.#text(random.pick(this.#words.names)),
      id: random.once(12) ? 0 : 1 + random.below(9),
      pid: random.pick(this.#words.pids),
    };
    return this.#frame(LockProcedure.REGISTER, (writer) => encodeRegister(writer, { owner, flags }));
  }

  #adminCall(): Bytes {
    const random = this.#random;
    const server = random.pick(["virtlockd", "virtlockd", "admin", "other", ""]);
    const number = random.once(4) ? random.pick(EDGES) : random.below(4);
    if (random.once(5)) {
      const args = (writer: XdrWriter) => {
        writer.u32(0);
        writer.string(random.pick(["", "0:0", "1:99", "7", "x", "9".repeat(20)]));
        writer.u32(number);
      };
      return this.#frame(1 + random.below(4), args, STATUS_PROGRAM);
    }
    const procedure = 1 + random.below(19);
    return this.#frame(procedure, (writer) => {
      if (procedure === 7 || procedure === 13) {
        const field = random.pick(["maxWorkers", "prioWorkers", "nclients_max", "bogus", ""]);
        const params = Array.from(
          { length: random.below(4) },
          () => ({ field, type: ParamType.UINT, value: number }),
        );
        return encodeSetParams(writer, { server, params, flags: 0 });
      }
      if (procedure === 16 || procedure === 17) {
        writer.optionalString(random.pick([undefined, "", "2:a", "9:x", "1:*b* 3:c", "x", "1:"]));
      } else if (procedure !== 1 && procedure !== 4 && procedure < 14) {
        writer.string(server);
        if (procedure >= 9 && procedure <= 11) writer.u64Number(number);
        if (procedure === 10 || procedure === 11) writer.opaque(new Uint8Array(12));
      }
      writer.u32(random.once(10) ? number : 0);
      writer.u32(0);
    }, ADMIN_PROGRAM);
  }

  /** A frame whose header has something unusual. */
  #oddCall(): Bytes {
    const random = this.#random;
    const bytes = this.#call();
    const view = new DataView(bytes.buffer);
    switch (random.below(6)) {
      case 0:
        view.setUint32(4, random.pick(PROGRAMS));
        break;
      case 1:
        view.setUint32(8, random.pick([0, 2, 0xffffffff]));
        break;
      case 2:
        view.setUint32(12, random.pick([0, 9, 21, 0x7fffffff, 0xffffffff]));
        break;
      case 3:
        view.setUint32(16, random.pick([1, 2, 3, 4, 5, 6, 7, 0xffffffff]));
        break;
      case 4:
        view.setUint32(24, random.pick([1, 2, 3, 0xffffffff]));
        break;
      default:
        return this.#withDescriptors(bytes, random.pick([0, 0, 1, 2, 32, 33]));
    }
    return bytes;
  }

  /** A CALL_WITH_FDS: the count before the payload, a byte for each descriptor behind. */
  #withDescriptors(call: Bytes, count: number): Bytes {
    const bytes = new Uint8Array(call.length + 4 + count);
    bytes.set(call.subarray(0, FRAME_MIN));
    bytes.set(call.subarray(FRAME_MIN), FRAME_MIN + 4);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, call.length + 4);
    view.setUint32(16, MessageType.CALL_WITH_FDS);
    view.setUint32(FRAME_MIN, count);
    return bytes;
  }

  #frame(procedure: number, encode: (writer: XdrWriter) => void, program = LOCK_PROGRAM): Bytes {
    const writer = new XdrWriter();
    encode(writer);
    const serial = this.#serial++;
    return encodeFrame(
      { program, version: 1, procedure, type: MessageType.CALL, serial, status: 0 },
      writer.bytes,
    );
  }

  /** Now and then a text with something unusual in it. */
  #text(text: string): string {
    const random = this.#random;
    if (!random.once(60)) return text;
    switch (random.below(8)) {
      case 0:
        return `${text}\0x`;
      case 1:
        return `${text}\udcff\udc80`;
      case 2:
        return text + "x".repeat(random.pick([65536, 65537, 70000, 255, 256, 4096]) - text.length);
      case 3:
        return `${text}/`;
      case 4:
        return `${text}/../y`;
      case 5:
        return `./${text}`;
      case 6:
        return "";
      default:
        return `${text}\n\u{1f512}\ufeff`;
    }
  }

  #spoil(message: Bytes): Bytes {
    const random = this.#random;
    let bytes = message;
    for (let times = 1 + random.below(3); times > 0; times--) bytes = this.#spoilOnce(bytes);
    // Mostly the stream stays readable, so that what follows is looked at too.
    if (bytes.length >= FRAME_MIN && !random.once(12)) new DataView(bytes.buffer).setUint32(0, bytes.length);
    return bytes;
  }

  #spoilOnce(bytes: Bytes): Bytes {
    const random = this.#random;
    if (bytes.length < 8) return random.bytes(8);
    const at = random.below(bytes.length);
    const copy = bytes.slice();
    const view = new DataView(copy.buffer);
    switch (random.below(7)) {
      case 0:
        copy[at] = (copy[at] as number) ^ (1 << random.below(8));
        return copy;
      case 1:
        copy[at] = random.u32();
        return copy;
      case 2:
        view.setUint32(random.below(copy.length >> 2) * 4, random.pick(EDGES));
        return copy;
      case 3:
        return copy.slice(0, at);
      case 4: {
        const added = random.bytes(1 + random.below(12));
        const longer = new Uint8Array(copy.length + added.length);
        longer.set(copy.subarray(0, at));
        longer.set(added, at);
        longer.set(copy.subarray(at), at + added.length);
        return longer;
      }
      case 5: {
        copy.copyWithin(at, Math.min(copy.length, at + 1 + random.below(16)));
        return copy.slice(0, Math.max(8, copy.length - random.below(16)));
      }
      default: {
        const aligned = random.below(copy.length >> 2) * 4;
        view.setUint32(aligned, copy.length - aligned + random.below(9) - 4);
        return copy;
      }
    }
  }
}
