import assert from "node:assert/strict";
import { decodeText, encodeText, encodeTextInto, textLength } from "../../../src/os/text.ts";

/** Bytes and their text, both ways. */
const PAIRS: [name: string, bytes: number[], text: string][] = [
  ["nothing", [], ""],
  ["ASCII with NUL and DEL", [0x00, 0x41, 0x7f], "\0A\x7f"],
  ["two bytes, first and last", [0xc2, 0x80, 0xdf, 0xbf], "\u0080\u07ff"],
  ["three bytes, first and last", [0xe0, 0xa0, 0x80, 0xef, 0xbf, 0xbf], "\u0800\uffff"],
  ["around the surrogates", [0xed, 0x9f, 0xbf, 0xee, 0x80, 0x80], "\ud7ff\ue000"],
  ["four bytes, first and last", [0xf0, 0x90, 0x80, 0x80, 0xf4, 0x8f, 0xbf, 0xbf], "\u{10000}\u{10ffff}"],
  ["a pair whose low half looks like an escape", [0xf0, 0x9f, 0x92, 0x80], "\ud83d\udc80"],
  ["a byte order mark", [0xef, 0xbb, 0xbf, 0x61], "\ufeffa"],
  ["Latin-1", [0x66, 0xfc, 0x72], "f\udcfcr"],
  ["a lone continuation", [0x80, 0xbf], "\udc80\udcbf"],
  ["overlong forms", [0xc0, 0xaf, 0xe0, 0x80, 0xaf], "\udcc0\udcaf\udce0\udc80\udcaf"],
  ["an overlong form of four bytes", [0xf0, 0x8f, 0xbf, 0xbf], "\udcf0\udc8f\udcbf\udcbf"],
  ["an encoded surrogate", [0xed, 0xb2, 0x80], "\udced\udcb2\udc80"],
  ["above U+10FFFF", [0xf4, 0x90, 0x80, 0x80], "\udcf4\udc90\udc80\udc80"],
  ["bytes that never occur", [0xf5, 0xfe, 0xff], "\udcf5\udcfe\udcff"],
  ["a sequence cut short", [0x61, 0xe2, 0x82], "a\udce2\udc82"],
  ["a sequence broken by ASCII", [0xe2, 0x82, 0x41], "\udce2\udc82A"],
  ["an invalid byte between valid sequences", [0xc3, 0xa9, 0xff, 0xe2, 0x82, 0xac], "é\udcff€"],
  ["an escape after a pair", [0xf0, 0x9f, 0x98, 0x80, 0x80], "😀\udc80"],
];

for (const [name, bytes, text] of PAIRS) {
  Deno.test(`decodeText() and encodeText() reverse each other for ${name}`, () => {
    assert.equal(decodeText(Uint8Array.from(bytes)), text);
    assert.deepEqual([...encodeText(text)], bytes);
    assert.equal(textLength(text), bytes.length);
  });

  // Long texts take another way through the code than short ones.
  Deno.test(`decodeText() and encodeText() reverse each other for ${name} after 5000 letters`, () => {
    const long = [...new Uint8Array(5000).fill(0x78), ...bytes];
    assert.equal(decodeText(Uint8Array.from(long)), "x".repeat(5000) + text);
    assert.deepEqual([...encodeText("x".repeat(5000) + text)], long);
    assert.equal(textLength("x".repeat(5000) + text), 5000 + bytes.length);
  });
}

Deno.test("decodeText() keeps every single byte and every pair of bytes apart", () => {
  const seen = new Set<string>();
  for (let first = 0; first < 256; first++) {
    seen.add(decodeText(Uint8Array.of(first)));
    for (let second = 0; second < 256; second++) {
      const text = decodeText(Uint8Array.of(first, second));
      assert.deepEqual([...encodeText(text)], [first, second]);
      seen.add(text);
    }
  }
  assert.equal(seen.size, 256 + 65536);
});

Deno.test("decodeText() reads its window only", () => {
  const bytes = Uint8Array.from([0xff, 0x61, 0x62, 0xc3, 0xa9]);
  assert.equal(decodeText(bytes, 1, 3), "ab");
  assert.equal(decodeText(bytes, 1, 4), "ab\udcc3");
  assert.equal(decodeText(bytes, 3), "é");
  assert.equal(decodeText(bytes, 2, 2), "");
});

for (const length of [7, 8, 9, 127, 128, 129, 4095, 4096, 4097]) {
  Deno.test(`decodeText() keeps ${length} bytes, each kind in the last place`, () => {
    for (const last of [0x7f, 0xff]) {
      const bytes = new Uint8Array(length).fill(0x61);
      bytes[length - 1] = last;
      const text = "a".repeat(length - 1) + (last === 0x7f ? "\x7f" : "\udcff");
      assert.equal(decodeText(bytes), text);
      assert.deepEqual(encodeText(text), bytes);
    }
  });
}

Deno.test("decodeText() splits no pair where its blocks meet", () => {
  for (const before of [4094, 4095, 4096]) {
    const bytes = Uint8Array.from([...new Uint8Array(before).fill(0xff), 0xf0, 0x9f, 0x98, 0x80, 0xff]);
    assert.equal(decodeText(bytes), "\udcff".repeat(before) + "😀\udcff");
  }
});

Deno.test("encodeText() makes U+FFFD of a surrogate that stands for no byte", () => {
  for (const text of ["\ud800", "\udc00", "\udc7f", "\udd00"]) {
    assert.deepEqual([...encodeText(`a${text}b`)], [0x61, 0xef, 0xbf, 0xbd, 0x62]);
    assert.equal(textLength(`a${text}b`), 5);
  }
});

Deno.test("encodeTextInto() writes at its offset and nowhere else", () => {
  for (const text of ["abc", "a€", "a\udcff", "x".repeat(60)]) {
    const length = textLength(text);
    const target = new Uint8Array(length + 4).fill(0xee);
    assert.equal(encodeTextInto(text, target, 2), length);
    assert.deepEqual([...target.subarray(0, 2)], [0xee, 0xee]);
    assert.deepEqual(target.slice(2, 2 + length), encodeText(text));
    assert.deepEqual([...target.subarray(2 + length)], [0xee, 0xee]);
  }
});

Deno.test("encodeTextInto() throws when there is no room", () => {
  for (const text of ["abc", "a€", "aa\udcff", "x".repeat(60)]) {
    const target = new Uint8Array(textLength(text) + 1);
    assert.throws(
      () => encodeTextInto(text, target, 2),
      new RangeError(`Cannot encode text: ${textLength(text)} bytes do not fit into ${textLength(text) - 1}`),
    );
  }
});
