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

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Writes a message.
 *
 * @throws TypeError when a value does not suit its field
 */
export function encodeMessage(message: Message, values: Values): Uint8Array {
  const out: number[] = [];
  for (const [name, value] of Object.entries(values)) {
    const field = message[name];
    if (field === undefined) throw new TypeError(`Encode a message: it has no field ${name}`);
    if (value === undefined) continue;
    const each = field.repeated ? value : [value];
    if (!Array.isArray(each)) throw new TypeError(`Encode a message: ${name} is no list`);
    for (const one of each) encodeField(out, name, field, one);
  }
  return Uint8Array.from(out);
}

function encodeField(out: number[], name: string, { number, type }: Field, value: Value): void {
  const wrong = () => new TypeError(`Encode a message: ${name} cannot be ${typeof value}`);
  const tag = (wire: number) => varint(out, BigInt(number * 8 + wire));
  const bytes = (content: Uint8Array) => {
    tag(BYTES);
    varint(out, BigInt(content.length));
    for (const byte of content) out.push(byte);
  };
  switch (type) {
    case "string":
      if (typeof value !== "string") throw wrong();
      return bytes(encoder.encode(value));
    case "bool":
      if (typeof value !== "boolean") throw wrong();
      tag(VARINT);
      return varint(out, value ? 1n : 0n);
    case "integer":
      if (typeof value !== "number" || !Number.isSafeInteger(value)) throw wrong();
      tag(VARINT);
      return varint(out, BigInt.asUintN(64, BigInt(value)));
    case "id":
      if (typeof value !== "string" || !/^-?[0-9]+$/.test(value)) throw wrong();
      tag(VARINT);
      return varint(out, BigInt.asUintN(64, BigInt(value)));
    default:
      if (typeof value !== "object" || Array.isArray(value)) throw wrong();
      return bytes(encodeMessage(type, value as Values));
  }
}

function varint(out: number[], value: bigint): void {
  for (; value >= 0x80n; value >>= 7n) out.push(Number(value & 0x7fn) | 0x80);
  out.push(Number(value));
}

/**
 * Reads a message. What is not there has the value that stands for nothing: "", false, 0, [], and undefined
 * for a message.
 *
 * @throws RangeError when it is cut off or malformed, TypeError when a text is no UTF-8
 */
export function decodeMessage(message: Message, bytes: Uint8Array): Values {
  const values: Record<string, Value> = {};
  const lists: Record<string, Value[]> = {};
  const byNumber = new Map<number, [string, Field]>();
  for (const [name, field] of Object.entries(message)) {
    byNumber.set(field.number, [name, field]);
    if (field.repeated) values[name] = lists[name] = [];
    else values[name] = nothing(field.type);
  }
  const reader = new Reader(bytes);
  while (reader.more) {
    const tag = reader.varint();
    const [name, field] = byNumber.get(Number(tag >> 3n)) ?? [];
    const wire = Number(tag & 7n);
    if (name === undefined || field === undefined) {
      reader.skip(wire);
      continue;
    }
    const value = reader.field(field, wire);
    if (field.repeated) lists[name]?.push(value);
    else values[name] = value;
  }
  return values;
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

  field({ type }: Field, wire: number): Value {
    if (wire !== (typeof type === "object" || type === "string" ? BYTES : VARINT)) {
      throw new RangeError(`Decode a message: a field has the wire type ${wire}`);
    }
    switch (type) {
      case "string":
        return decoder.decode(this.bytes());
      case "bool":
        return this.varint() !== 0n;
      case "integer": {
        const number = Number(BigInt.asIntN(64, this.varint()));
        if (!Number.isSafeInteger(number)) throw new RangeError(`Decode a message: ${number} is too large`);
        return number;
      }
      case "id":
        return String(BigInt.asIntN(64, this.varint()));
      default:
        return decodeMessage(type, this.bytes());
    }
  }

  bytes(): Uint8Array {
    const length = Number(this.varint());
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError("Decode a message: it is cut off");
    const found = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return found;
  }

  skip(wire: number): void {
    switch (wire) {
      case VARINT:
        this.varint();
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
