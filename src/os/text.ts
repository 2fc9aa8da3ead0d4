// File names are bytes, JavaScript strings are not. Bytes that are not UTF-8 become lone surrogates U+DC80..U+DCFF and turn
// back into the same bytes, so that no two names ever become one.

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
const LOWEST = 0xdc80;
const HIGHEST = 0xdcff;
const ASCII_LIMIT = 256;

/** The text of `bytes[start, end)`; a byte that is not part of valid UTF-8 becomes U+DC00 + byte. */
export function decodeText(bytes: Uint8Array, start = 0, end = bytes.length): string {
  if (end - start <= ASCII_LIMIT) {
    let text = "";
    let at = start;
    for (; at < end; at++) {
      const byte = bytes[at] as number;
      if (byte >= 0x80) break;
      text += String.fromCharCode(byte);
    }
    if (at === end) return text;
  }
  const part = bytes.subarray(start, end);
  try {
    return utf8.decode(part);
  } catch {
    return decodeMixed(part);
  }
}

/** Valid sequences one by one, every other byte escaped. The decoder itself judges validity. */
function decodeMixed(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at] as number;
    const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
    let decoded: string | undefined;
    if (length > 0 && at + length <= bytes.length) {
      try {
        decoded = utf8.decode(bytes.subarray(at, at + length));
      } catch {
        decoded = undefined;
      }
    }
    if (decoded === undefined) {
      text += String.fromCharCode(0xdc00 + first);
      at += 1;
    } else {
      text += decoded;
      at += length;
    }
  }
  return text;
}

/** The bytes of a text made by {@link decodeText}, or of any string. */
export function encodeText(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 3);
  return bytes.subarray(0, encodeTextInto(text, bytes, 0));
}

/**
 * Writes the bytes of a text into `target` from `offset` on; there must be room for 3 bytes a character.
 *
 * @returns how many bytes were written
 */
export function encodeTextInto(text: string, target: Uint8Array, offset: number): number {
  const length = text.length;
  let at = offset;
  let index = 0;
  if (length <= ASCII_LIMIT) {
    for (; index < length; index++) {
      const unit = text.charCodeAt(index);
      if (unit >= 0x80) break;
      target[at++] = unit;
    }
    if (index === length) return length;
  }
  let plain = index;
  for (; index < length; index++) {
    const unit = text.charCodeAt(index);
    if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(index + 1))) {
      index++;
      continue;
    }
    if (unit < LOWEST || unit > HIGHEST) continue;
    at += encoder.encodeInto(text.slice(plain, index), target.subarray(at)).written;
    target[at++] = unit - 0xdc00;
    plain = index + 1;
  }
  at += encoder.encodeInto(plain === 0 ? text : text.slice(plain), target.subarray(at)).written;
  return at - offset;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
