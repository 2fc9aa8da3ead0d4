import assert from "node:assert/strict";
import { formatUuid, parseUuid } from "../../../../src/chassis/wire/uuid.ts";

const BYTES = Uint8Array.of(0, 1, 0x2b, 0xcd, 0xef, 5, 6, 7, 8, 9, 0xa0, 11, 12, 13, 14, 0xff);
const TEXT = "00012bcd-ef05-0607-0809-a00b0c0d0eff";

Deno.test("formatUuid() writes lower case with dashes", () => {
  assert.equal(formatUuid(BYTES), TEXT);
});

Deno.test("parseUuid() reads it back, also in upper case or without dashes", () => {
  for (const text of [TEXT, TEXT.toUpperCase(), TEXT.replaceAll("-", "")]) {
    assert.deepEqual(parseUuid(text), BYTES);
  }
});

for (
  const text of [
    "",
    TEXT.slice(1),
    `${TEXT}0`,
    TEXT.replace("2", "g"),
    ` ${TEXT}`,
    `${TEXT}\n`,
    `-${TEXT.slice(1)}`,
  ]
) {
  Deno.test(`parseUuid() returns undefined for ${JSON.stringify(text)}`, () => {
    assert.equal(parseUuid(text), undefined);
  });
}
