import assert from "node:assert/strict";
import { quote } from "../../../../src/chassis/config/quote.ts";

Deno.test("quote() puts plain text in double quotes", () => {
  assert.equal(quote("max_clients"), '"max_clients"');
  assert.equal(quote(""), '""');
  assert.equal(quote("grüße"), '"grüße"');
});

Deno.test("quote() escapes what would break the line or fool a terminal", () => {
  const cases: [string, string][] = [
    ["a\nb", '"a\\nb"'],
    ["a\tb", '"a\\tb"'],
    ['a"b', '"a\\"b"'],
    ["a\\b", '"a\\\\b"'],
    ["\x1b[2J", '"\\u001b[2J"'],
    ["\0", '"\\u0000"'],
    ["\x7f\x9b", '"\\u007f\\u009b"'],
    ["a\u2028b", '"a\\u2028b"'],
    ["a\u202eb", '"a\\u202eb"'],
    ["\ufeffa\u00a0b", '"\\ufeffa\\u00a0b"'],
    ["\u{e0041}", '"\\u{e0041}"'],
    ["\udcff", '"\\udcff"'],
  ];
  for (const [text, expected] of cases) assert.equal(quote(text), expected);
});

Deno.test("quote() cuts text when it is longer than 80 characters", () => {
  assert.equal(quote("x".repeat(80)), `"${"x".repeat(80)}"`);
  assert.equal(quote("x".repeat(81)), `"${"x".repeat(80)}…"`);
});
