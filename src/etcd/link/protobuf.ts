/** How a field is written. */
export type FieldType =
  | "string"
  | "bool"
  /** An integer that a JavaScript number holds: revisions, counts, enumerations. */
  | "integer"
  /** 64 bits without meaning, as text in decimal: ids. */
  | "id"
  | Message;

/** A field of a message: its number, its type, and whether there may be several. */
export interface Field {
  readonly number: number;
  readonly type: FieldType;
  readonly repeated?: true;
}

/** A message: its fields by name. Fields that it does not name are passed over. */
export interface Message {
  readonly [name: string]: Field;
}

/** A message's fields; those that are not there have the value that stands for nothing in their type. */
export interface Values {
  readonly [name: string]: Value;
}
type Value = string | number | boolean | Values | readonly Value[] | undefined;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
/** Largest tag; no length is larger either. */
const MOST_SMALL = 0xffff_ffff;
/** Bytes of a varint of 64 bits. */
const LONGEST_VARINT = 10;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** A byte of a text that is no UTF-8: its number above this, which no UTF-8 stands for. */
const ODD_BYTE = 0xdc00;
const ODD = /[\udc80-\udcff]/u;

/**
 * Writes a message.
 *
 * @throws TypeError when a value does not suit its field
 */
export function encodeMessage(message: Message, values: Values): Uint8Array {
  const writer = new Writer();
  for (const [name, value] of Object.entries(values)) {
    const field = message[name];
    if (field === undefined) throw new TypeError(`Encode a message: it has no field ${name}`);
    if (value === undefined) continue;
    const each = field.repeated ? value : [value];
    if (!Array.isArray(each)) throw new TypeError(`Encode a message: ${name} is no list`);
    for (const one of each) writer.field(name, field, one);
  }
  return writer.written;
}

/** Bytes of a message so far, in a buffer that grows: an idle host's largest message has 40 KB. */
class Writer {
  #bytes = new Uint8Array(256);
  #length = 0;

  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  field(name: string, { number, type }: Field, value: Value): void {
    const wrong = () => new TypeError(`Encode a message: ${name} cannot be ${typeof value}`);
    switch (type) {
      case "string":
        if (typeof value !== "string") throw wrong();
        return this.#content(number, encodeText(value));
      case "bool":
        if (typeof value !== "boolean") throw wrong();
        return this.#number(number, value ? 1 : 0);
      case "integer":
        if (typeof value !== "number" || !Number.isSafeInteger(value)) throw wrong();
        return this.#number(number, value);
      case "id":
        if (typeof value !== "string" || !/^-?[0-9]+$/.test(value)) throw wrong();
        return this.#number(number, BigInt(value));
      default:
        if (typeof value !== "object" || Array.isArray(value)) throw wrong();
        return this.#content(number, encodeMessage(type, value as Values));
    }
  }

  #content(number: number, content: Uint8Array): void {
    this.#small(number * 8 + BYTES);
    this.#small(content.length);
    this.#room(content.length);
    this.#bytes.set(content, this.#length);
    this.#length += content.length;
  }

  #number(number: number, value: number | bigint): void {
    this.#small(number * 8 + VARINT);
    if (typeof value === "number" && value >= 0 && value <= MOST_SMALL) return this.#small(value);
    this.#room(LONGEST_VARINT);
    let left = BigInt.asUintN(64, BigInt(value));
    for (; left >= 0x80n; left >>= 7n) this.#bytes[this.#length++] = Number(left & 0x7fn) | 0x80;
    this.#bytes[this.#length++] = Number(left);
  }

  /** A varint of 32 bits at most. */
  #small(value: number): void {
    this.#room(LONGEST_VARINT);
    for (; value >= 0x80; value >>>= 7) this.#bytes[this.#length++] = value & 0x7f | 0x80;
    this.#bytes[this.#length++] = value;
  }

  #room(more: number): void {
    const least = this.#length + more;
    if (least <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(least, 2 * this.#bytes.length));
    bytes.set(this.written);
    this.#bytes = bytes;
  }
}

/**
 * Reads a message. What is not there has the value that stands for nothing: "", false, 0, [], and undefined
 * for a message.
 *
 * @throws RangeError when it is cut off or malformed
 */
export function decodeMessage(message: Message, bytes: Uint8Array): Values {
  const { fields, empty } = layoutOf(message);
  const values: Record<string, Value> = { ...empty };
  const lists: Record<string, Value[]> = {};
  for (const [name, { repeated }] of fields.values()) {
    if (repeated) values[name] = lists[name] = [];
  }
  const reader = new Reader(bytes);
  while (reader.more) {
    const tag = reader.small();
    const found = fields.get(Math.floor(tag / 8));
    const wire = tag % 8;
    if (found === undefined) {
      reader.skip(wire);
      continue;
    }
    const [name, field] = found;
    const value = reader.field(field, wire);
    if (field.repeated) lists[name]?.push(value);
    else values[name] = value;
  }
  return values;
}

/** What a message is read by. */
interface Layout {
  /** Names and fields by their numbers. */
  readonly fields: ReadonlyMap<number, readonly [string, Field]>;
  /** What those have that are not there; of repeated ones each message has a list of its own. */
  readonly empty: Values;
}

/** Made once for each message: a host that starts with 40,000 locks reads as many. */
const layouts = new WeakMap<Message, Layout>();

function layoutOf(message: Message): Layout {
  const known = layouts.get(message);
  if (known !== undefined) return known;
  const named = Object.entries(message);
  const layout = {
    fields: new Map(named.map(([name, field]) => [field.number, [name, field]] as const)),
    empty: Object.fromEntries(
      named.map(([name, { type, repeated }]) => [name, repeated ? [] : nothing(type)]),
    ),
  };
  layouts.set(message, layout);
  return layout;
}

function nothing(type: FieldType): Value {
  switch (type) {
    case "string":
      return "";
    case "bool":
      return false;
    case "integer":
      return 0;
    case "id":
      return "0";
    default:
      return undefined;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get more(): boolean {
    return this.#at < this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError("Decode a message: it is cut off");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new RangeError("Decode a message: a number has no end");
  }

  /** A tag or a length: mostly of one byte. */
  small(): number {
    const value = this.#short() ?? Number(this.varint());
    if (value > MOST_SMALL) throw new RangeError(`Decode a message: ${value} is too large`);
    return value;
  }

  /** An integer that a JavaScript number holds, which may be below 0. */
  integer(): number {
    const value = this.#short() ?? Number(BigInt.asIntN(64, this.varint()));
    if (!Number.isSafeInteger(value)) throw new RangeError(`Decode a message: ${value} is too large`);
    return value;
  }

  /** A number of at most four bytes, without the detour of BigInt; undefined: there is another one. */
  #short(): number | undefined {
    let value = 0;
    for (let index = 0; index < 4; index++) {
      const byte = this.#bytes[this.#at + index];
      if (byte === undefined) return undefined;
      value |= (byte & 0x7f) << 7 * index;
      if (byte < 0x80) {
        this.#at += index + 1;
        return value;
      }
    }
    return undefined;
  }

  field({ type }: Field, wire: number): Value {
    if (wire !== (typeof type === "object" || type === "string" ? BYTES : VARINT)) {
      throw new RangeError(`Decode a message: a field has the wire type ${wire}`);
    }
    switch (type) {
      case "string":
        return decodeText(this.bytes());
      case "bool":
        return this.varint() !== 0n;
      case "integer":
        return this.integer();
      case "id":
        return String(BigInt.asIntN(64, this.varint()));
      default:
        return decodeMessage(type, this.bytes());
    }
  }

  bytes(): Uint8Array {
    const length = this.small();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError("Decode a message: it is cut off");
    const found = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return found;
  }

  skip(wire: number): void {
    switch (wire) {
      case VARINT:
        if (this.#short() === undefined) this.varint();
        break;
      case BYTES:
        this.bytes();
        break;
      case FIXED64:
        this.#at += 8;
        break;
      case FIXED32:
        this.#at += 4;
        break;
      default:
        throw new RangeError(`Decode a message: there is no wire type ${wire}`);
    }
    if (this.#at > this.#bytes.length) throw new RangeError("Decode a message: it is cut off");
  }
}

/**
 * Bytes that are UTF-8 decode as usual. Of others each above 0x7f becomes a lone surrogate, U+DC80..U+DCFF:
 * somebody may write anything into etcd by hand, and an answer with that in it is an answer. Nothing of it is
 * lost, so that it is compared and deleted as what it is.
 */
function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return Array.from(bytes, (byte) => String.fromCharCode(byte < 0x80 ? byte : ODD_BYTE + byte)).join("");
  }
}

/** The reverse of {@link decodeText}. */
function encodeText(text: string): Uint8Array {
  if (!ODD.test(text)) return encoder.encode(text);
  const bytes = Array.from(
    text,
    (character) =>
      ODD.test(character) ? [character.charCodeAt(0) - ODD_BYTE] : [...encoder.encode(character)],
  );
  return Uint8Array.from(bytes.flat());
}
