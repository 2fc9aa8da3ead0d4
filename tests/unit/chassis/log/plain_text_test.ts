import assert from "node:assert/strict";
import { plainText } from "../../../../src/chassis/log/plain_text.ts";

Deno.test("plainText() leaves ordinary text of any script alone", () => {
  for (const text of ["", "Resource 'disk-1' busy", "gäste/дом/客/🔒", "a\\nb"]) {
    assert.equal(plainText(text), text);
  }
});

Deno.test("plainText() keeps a client's newline from starting a line", () => {
  assert.equal(
    plainText("x\n2026-11-21 02:55:58.250+0000: 1: error : a.b : forged"),
    "x\\n2026-11-21 02:55:58.250+0000: 1: error : a.b : forged",
  );
});

Deno.test("plainText() escapes what could steer a terminal or a viewer", () => {
  assert.equal(plainText("\x1b[2J\r\t\x00\x7f\x9b"), "\\x1b[2J\\x0d\\t\\x00\\x7f\\x9b");
  assert.equal(plainText("a\u2028b\u2029c"), "a\\u{2028}b\\u{2029}c");
  assert.equal(plainText("\u202egnp.exe\u2066"), "\\u{202e}gnp.exe\\u{2066}");
});

Deno.test("plainText() writes bytes that are not UTF-8 as escapes", () => {
  assert.equal(plainText("disk\udcff\udc80 \ud800"), "disk\\xff\\x80 \\u{d800}");
});
