// File names are bytes, JavaScript strings are not. A byte that is not part of valid UTF-8 becomes the lone
// surrogate U+DC00 + byte and turns back into the same byte, so that no two names ever become one.

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Up to here a loop is faster than a call of TextDecoder (measured: they meet at about 150 bytes). */
const SHORT_DECODE = 128;
/** The same for TextEncoder. */
const SHORT_ENCODE = 48;
/** Code units collected before they are made a string. */
const UNITS = 4096;
const ESCAPE = 0xdc00;
const LOWEST_ESCAPE = 0xdc80;
const HIGHEST_ESCAPE = 0xdcff;

/**
 * The text of `bytes[start, end)`.
 *
 * Valid UTF-8 decodes as usual (a byte order mark stays); every other byte becomes U+DC80..U+DCFF. Nothing of
 * `bytes` is kept.
 */
export function decodeText(bytes: Uint8Array, start = 0, end = bytes.length): string {
  if (end - start <= SHORT_DECODE) return decodeAscii(bytes, start, end) ?? decodeEscaped(bytes, start, end);
  try {
    return utf8.decode(bytes.subarray(start, end));
  } catch {
    // The decoder only says that something is invalid, not what.
    return decodeEscaped(bytes, start, end);
  }
}

/** Eight at a time: the string is built of few pieces. Undefined when a byte is not ASCII. */
function decodeAscii(bytes: Uint8Array, start: number, end: number): string | undefined {
  let text = "";
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const a = bytes[at] as number;
    const b = bytes[at + 1] as number;
    const c = bytes[at + 2] as number;
    const d = bytes[at + 3] as number;
    const e = bytes[at + 4] as number;
    const f = bytes[at + 5] as number;
    const g = bytes[at + 6] as number;
    const h = bytes[at + 7] as number;
    if ((a | b | c | d | e | f | g | h) >= 0x80) return undefined;
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  for (; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte >= 0x80) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}

/** One pass whatever the bytes are: a name full of invalid ones must not cost an exception each. */
function decodeEscaped(bytes: Uint8Array, start: number, end: number): string {
  const units = new Uint16Array(Math.min(end - start, UNITS) + 1);
  let text = "";
  let count = 0;
  for (let at = start; at < end;) {
    if (count >= UNITS) {
      text += textOfUnits(units, count);
      count = 0;
    }
    const first = bytes[at] as number;
    const length = sequenceLength(bytes, at, end);
    if (length <= 1) {
      units[count++] = length === 1 ? first : ESCAPE + first;
      at += 1;
      continue;
    }
    let point = first & (0x7f >> length);
    for (let index = 1; index < length; index++) point = point << 6 | (bytes[at + index] as number) & 0x3f;
    at += length;
    if (point < 0x10000) {
      units[count++] = point;
    } else {
      units[count++] = 0xd7c0 + (point >> 10);
      units[count++] = 0xdc00 + (point & 0x3ff);
    }
  }
  return text + textOfUnits(units, count);
}

function textOfUnits(units: Uint16Array, count: number): string {
  return Reflect.apply(String.fromCharCode, undefined, units.subarray(0, count));
}

/**
 * Length of the UTF-8 sequence at `at`, 0 when there is none. Unicode 15, table 3-7: no overlong form, no
 * surrogate.
 */
function sequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at] as number;
  if (first < 0x80) return 1;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > end) return 0;
  const second = bytes[at + 1] as number;
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let index = 2; index < length; index++) {
    if (((bytes[at + index] as number) & 0xc0) !== 0x80) return 0;
  }
  return length;
}

/** How many bytes {@link encodeText} makes of a text. */
export function textLength(text: string): number {
  const units = text.length;
  let length = units;
  for (let index = 0; index < units; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      length += 1;
    } else if (isPair(text, index)) {
      length += 2;
      index++;
    } else if (unit < LOWEST_ESCAPE || unit > HIGHEST_ESCAPE) {
      length += 2;
    }
  }
  return length;
}

/** The bytes of a text: the reverse of {@link decodeText}. Other lone surrogates become U+FFFD. */
export function encodeText(text: string): Uint8Array {
  const bytes = new Uint8Array(textLength(text));
  encodeTextInto(text, bytes, 0);
  return bytes;
}

/**
 * Writes the bytes of a text into `target` from `offset` on.
 *
 * @returns how many bytes were written
 * @throws RangeError when `target` has no room for {@link textLength} bytes; what was written of them stays
 */
export function encodeTextInto(text: string, target: Uint8Array, offset: number): number {
  const units = text.length;
  if (offset + units <= target.length && units <= SHORT_ENCODE) {
    let index = 0;
    for (; index < units; index++) {
      const unit = text.charCodeAt(index);
      if (unit >= 0x80) break;
      target[offset + index] = unit;
    }
    if (index === units) return units;
  }
  if (!text.isWellFormed()) return encodeEscaped(text, target, offset);
  const { read, written } = encoder.encodeInto(text, target.subarray(offset));
  if (read < units) throw noRoom(text, target, offset);
  return written;
}

function encodeEscaped(text: string, target: Uint8Array, offset: number): number {
  const units = text.length;
  let at = offset;
  for (let index = 0; index < units; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) {
      target[at++] = unit;
    } else if (unit < 0x800) {
      target[at++] = 0xc0 | unit >> 6;
      target[at++] = 0x80 | unit & 0x3f;
    } else if (unit >= LOWEST_ESCAPE && unit <= HIGHEST_ESCAPE) {
      target[at++] = unit - ESCAPE;
    } else if (isPair(text, index)) {
      const point = (unit - 0xd7c0 << 10) + (text.charCodeAt(++index) & 0x3ff);
      target[at++] = 0xf0 | point >> 18;
      target[at++] = 0x80 | point >> 12 & 0x3f;
      target[at++] = 0x80 | point >> 6 & 0x3f;
      target[at++] = 0x80 | point & 0x3f;
    } else {
      const known = isSurrogate(unit) ? 0xfffd : unit;
      target[at++] = 0xe0 | known >> 12;
      target[at++] = 0x80 | known >> 6 & 0x3f;
      target[at++] = 0x80 | known & 0x3f;
    }
  }
  if (at > target.length) throw noRoom(text, target, offset);
  return at - offset;
}

/** Whether a high surrogate is at `index` and a low one after it. */
function isPair(text: string, index: number): boolean {
  return (text.charCodeAt(index) & 0xfc00) === 0xd800 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00;
}

function isSurrogate(unit: number): boolean {
  return (unit & 0xf800) === 0xd800;
}

function noRoom(text: string, target: Uint8Array, offset: number): RangeError {
  const room = Math.max(0, target.length - offset);
  return new RangeError(`Cannot encode text: ${textLength(text)} bytes do not fit into ${room}`);
}
