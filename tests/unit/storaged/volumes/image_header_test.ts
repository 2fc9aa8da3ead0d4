import assert from "node:assert/strict";
import { ImageHeader } from "../../../../src/storaged/volumes/image_header.ts";

const BYTES = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 0x61, 0x62, 0);

Deno.test("ImageHeader reads numbers in either order", () => {
  const header = new ImageHeader(BYTES);
  assert.equal(header.half(0), 0x0102);
  assert.equal(header.word(1), 0x02030405);
  assert.equal(header.word(1, true), 0x05040302);
  assert.equal(header.long(0), 0x0102030405060708n);
  assert.equal(header.long(0, true), 0x0807060504030201n);
  assert.equal(header.exceeded, false);
});

Deno.test("ImageHeader reads a text up to its NUL", () => {
  const header = new ImageHeader(BYTES);
  assert.equal(header.text(8, 3), "ab");
  assert.equal(header.text(8, 1), "a");
  assert.equal(header.says(8, "ab"), true);
  assert.equal(header.says(8, "ac"), false);
  assert.equal(header.exceeded, false);
});

Deno.test("ImageHeader has nothing behind its end, and tells that it was asked for it", () => {
  const asked: ((header: ImageHeader) => unknown)[] = [
    (header) => header.half(10),
    (header) => header.word(8),
    (header) => header.long(4),
  ];
  for (const ask of asked) {
    const header = new ImageHeader(BYTES);
    assert.equal(Number(ask(header)), 0);
    assert.equal(header.exceeded, true);
  }
  const marked = new ImageHeader(BYTES);
  assert.equal(marked.says(8, "ab\0\0"), false);
  assert.equal(marked.exceeded, true);
  const text = new ImageHeader(Uint8Array.of(0x61));
  assert.equal(text.text(0, 5), "a");
  assert.equal(text.exceeded, true);
});
