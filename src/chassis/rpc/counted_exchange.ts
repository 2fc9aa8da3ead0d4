import type { Mapping, SocketSys } from "../../os/sys.ts";
import { invariant } from "../../base/invariant.ts";
import { setPointerField } from "../../os/native.ts";
import {
  type BegunReply,
  type Exchange,
  INPUT_SIZE,
  OUTPUT_SIZE,
  OUTSIDE_TURN,
  type ReplyBytes,
} from "./exchange.ts";

/** Bytes of native memory a {@link CountedExchange} takes. */
export const EXCHANGE_SIZE = 4096 + INPUT_SIZE + OUTPUT_SIZE;

const INPUT_HEADER = 1024;
const INPUT_VECTOR = 1088;
const OUTPUT_HEADER = 1152;
const OUTPUT_VECTOR = 1216;
const INPUT = 4096;
const OUTPUT = INPUT + INPUT_SIZE;
/** Offsets in struct mmsghdr (64-bit): msg_iov, msg_iovlen, msg_len. */
const IOV = 16;
const IOV_LENGTH = 24;
const RESULT = 56;
/** Value of msg_len that the kernel never writes: nothing was transferred yet. */
const UNTOUCHED = 0xffff_ffff;

/**
 * Places of the words (float64) that say what the areas hold. Each is one store, so a killed daemon leaves
 * either the old or the new value; the order of the stores makes every state between two of them readable.
 * See {@link readExchange}.
 */
const Word = {
  /** Counts the turns: in one, the requests of one client are served. */
  TURN: 0,
  /** Client whose turn it is. */
  CLIENT: 1,
  /** {@link RECEIVED} or {@link STORED}: where the turn's requests are. */
  SOURCE: 2,
  /** Bytes from the start of the source that are served and answered. */
  CONSUMED: 3,
  /** Number of the last reply that is wholly sent. */
  DONE: 4,
  REPLY: 8,
  REPLY_CLIENT: 9,
  /** Turn whose bytes are consumed once the reply is begun to be sent, 0 for none. */
  REPLY_TURN: 10,
  REPLY_CONSUMED: 11,
  /** Bytes of the output area in the send. */
  REPLY_LENGTH: 12,
  /** Bytes of the reply that were sent before this send. */
  REPLY_OFFSET: 13,
  /**
   * The same, but stored before the word in which the kernel counts is made ready for the next send. A kill
   * in between leaves an offset that is one send behind and no count: then this is what was sent.
   */
  REPLY_SENT: 14,
  /** 1 when a journal has the bytes of the reply, else 0. */
  REPLY_RECORDED: 15,
} as const;
const WORDS = 16;
/** No reply: the first one has number 1. */
const NONE = 0;
/** Source: the input area. */
const RECEIVED = 0;
/** Source: bytes of the client that a journal has. */
const STORED = 1;

/**
 * An exchange for connections that outlive the process.
 *
 * It is native memory with message headers for recvmmsg(2) and sendmmsg(2), made once, so that a call costs
 * no allocation; and because the kernel writes the number of bytes into it during the call, a daemon that
 * maps it from a shared file still knows after a kill what was received and what was sent.
 */
export class CountedExchange implements Exchange {
  readonly input: Uint8Array;
  readonly output: Uint8Array;
  readonly #sys: Pick<SocketSys, "receivePrepared" | "sendPrepared">;
  readonly #view: DataView;
  readonly #words: Float64Array;
  readonly #receiveHeader: Deno.PointerValue;
  readonly #sendHeader: Deno.PointerValue;
  #turn: number;
  #reply: number;
  #replyTurn = 0;
  #replyEnd = 0;
  #sent = 0;
  /** Number of the reply that a record has promised. */
  #promised = NONE;

  /**
   * @param memory mapping with {@link EXCHANGE_SIZE} bytes at `offset`; must outlive the exchange
   * @param offset multiple of 8
   */
  constructor(sys: Pick<SocketSys, "receivePrepared" | "sendPrepared">, memory: Mapping, offset: number) {
    this.#sys = sys;
    const bytes = memory.bytes.subarray(offset, offset + EXCHANGE_SIZE);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#words = new Float64Array(bytes.buffer, bytes.byteOffset, WORDS);
    // The numbers go on where a daemon that used this memory before has stopped.
    this.#turn = this.#words[Word.TURN] as number;
    this.#reply = Math.max(this.#words[Word.REPLY] as number, this.#words[Word.DONE] as number);
    this.input = bytes.subarray(INPUT, INPUT + INPUT_SIZE);
    this.output = bytes.subarray(OUTPUT, OUTPUT + OUTPUT_SIZE);
    this.#receiveHeader = memory.pointer(offset + INPUT_HEADER);
    this.#sendHeader = memory.pointer(offset + OUTPUT_HEADER);
    const address = memory.address + offset;
    this.#prepare(INPUT_HEADER, INPUT_VECTOR, address, INPUT);
    this.#prepare(OUTPUT_HEADER, OUTPUT_VECTOR, address, OUTPUT);
  }

  get turn(): number {
    return this.#turn;
  }

  get lastReply(): BegunReply {
    return { number: this.#reply, turn: this.#replyTurn, end: this.#replyEnd };
  }

  receive(fd: number, limit: number, client: number): number {
    this.#begin(RECEIVED, client);
    this.#view.setUint32(INPUT_VECTOR + 8, limit, true);
    const result = this.#sys.receivePrepared(fd, this.#receiveHeader);
    return result < 0 ? result : this.#view.getUint32(INPUT_HEADER + RESULT, true);
  }

  serveStored(client: number): void {
    this.#begin(STORED, client);
  }

  promiseReply(): number {
    this.#promised = this.#reply + 1;
    return this.#promised;
  }

  withdrawReply(): void {
    this.#promised = NONE;
  }

  beginReply(client: number, answers: number, bytes: ReplyBytes): void {
    const promised = this.#promised;
    this.#promised = NONE;
    invariant(
      promised === (bytes === "promised" ? this.#reply + 1 : NONE),
      `Reply ${this.#reply + 1} to client ${client} is ${bytes}, but reply ${promised} was promised`,
    );
    const words = this.#words;
    this.#replyTurn = answers === OUTSIDE_TURN ? 0 : this.#turn;
    this.#replyEnd = answers;
    this.#sent = 0;
    // First of all: from here until the kernel has sent something, the other words mean nothing.
    this.#view.setUint32(OUTPUT_HEADER + RESULT, UNTOUCHED, true);
    words[Word.REPLY_OFFSET] = 0;
    words[Word.REPLY_SENT] = 0;
    words[Word.REPLY] = ++this.#reply;
    words[Word.REPLY_CLIENT] = client;
    words[Word.REPLY_TURN] = this.#replyTurn;
    words[Word.REPLY_CONSUMED] = answers;
    words[Word.REPLY_RECORDED] = bytes === "volatile" ? 0 : 1;
  }

  send(fd: number, length: number): number {
    const words = this.#words;
    words[Word.REPLY_SENT] = this.#sent;
    this.#view.setUint32(OUTPUT_HEADER + RESULT, UNTOUCHED, true);
    words[Word.REPLY_OFFSET] = this.#sent;
    words[Word.REPLY_LENGTH] = length;
    this.#view.setUint32(OUTPUT_VECTOR + 8, length, true);
    const result = this.#sys.sendPrepared(fd, this.#sendHeader);
    if (result < 0) return result;
    const taken = this.#view.getUint32(OUTPUT_HEADER + RESULT, true);
    this.#sent += taken;
    return taken;
  }

  finishReply(): void {
    if (this.#replyTurn === this.#turn) this.#words[Word.CONSUMED] = this.#replyEnd;
    this.#words[Word.DONE] = this.#reply;
  }

  #begin(source: number, client: number): void {
    const words = this.#words;
    this.#view.setUint32(INPUT_HEADER + RESULT, UNTOUCHED, true);
    words[Word.CONSUMED] = 0;
    words[Word.TURN] = ++this.#turn;
    words[Word.SOURCE] = source;
    words[Word.CLIENT] = client;
  }

  #prepare(header: number, vector: number, address: number, data: number): void {
    setPointerField(this.#view, header + IOV, address + vector);
    setPointerField(this.#view, header + IOV_LENGTH, 1);
    setPointerField(this.#view, vector, address + data);
    setPointerField(this.#view, vector + 8, 0);
  }
}

/** What a killed daemon has left in the memory of its {@link CountedExchange}. The arrays are copies. */
export interface ExchangeRemains {
  readonly turn: number;
  /** Client whose turn it was; 0 when there was none. */
  readonly client: number;
  /** Bytes that were received in the turn; undefined when it served bytes that a journal has. */
  readonly received: Uint8Array | undefined;
  /** How much of the turn's source is served and answered. */
  readonly consumed: number;
  /** Number of the last reply that was wholly sent. */
  readonly done: number;
  readonly reply: {
    readonly number: number;
    readonly client: number;
    /** How many of its bytes the kernel has taken. */
    readonly sent: number;
    /** Its bytes; undefined when a journal has them. */
    readonly bytes: Uint8Array | undefined;
  };
}

/**
 * Reads what a killed daemon has left. Changes nothing.
 *
 * @param memory the shared memory
 * @param offset as given to the {@link CountedExchange}
 */
export function readExchange(memory: Uint8Array, offset: number): ExchangeRemains {
  const bytes = memory.subarray(offset, offset + EXCHANGE_SIZE);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (index: number) => view.getFloat64(index * 8, true);
  const transferred = (header: number) => {
    const result = view.getUint32(header + RESULT, true);
    return result === UNTOUCHED ? 0 : result;
  };
  const turn = word(Word.TURN);
  const sent = Math.max(word(Word.REPLY_SENT), word(Word.REPLY_OFFSET) + transferred(OUTPUT_HEADER));
  // A reply that has begun to leave answers its request for good.
  const answered = sent > 0 && word(Word.REPLY_TURN) === turn ? word(Word.REPLY_CONSUMED) : 0;
  return {
    turn,
    client: word(Word.CLIENT),
    received: word(Word.SOURCE) === RECEIVED
      ? bytes.slice(INPUT, INPUT + transferred(INPUT_HEADER))
      : undefined,
    consumed: Math.max(word(Word.CONSUMED), answered),
    done: word(Word.DONE),
    reply: {
      number: word(Word.REPLY),
      client: word(Word.REPLY_CLIENT),
      sent,
      bytes: word(Word.REPLY_RECORDED) === 0
        ? bytes.slice(OUTPUT, OUTPUT + word(Word.REPLY_LENGTH))
        : undefined,
    },
  };
}
