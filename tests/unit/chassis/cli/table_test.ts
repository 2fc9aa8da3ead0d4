import assert from "node:assert/strict";
import { durationText, pairs, table, timeText } from "../../../../src/chassis/cli/table.ts";

Deno.test("table() makes each column as wide as its widest cell, without spaces at the end of a line", () => {
  assert.equal(
    table(["A", "LONG", "C"], [["xxx", "y", "z"], ["", "yyyyyy", ""]]),
    "A    LONG    C\nxxx  y       z\n     yyyyyy\n",
  );
});

Deno.test("table() counts characters and writes control characters as escapes", () => {
  assert.equal(
    table(["A", "B"], [["é😀", "b"], ["\x1b[2J\n", "b"]]),
    "A          B\né😀         b\n\\x1b[2J\\n  b\n",
  );
});

Deno.test("pairs() puts the values into one column", () => {
  assert.equal(pairs([["a", "1"], ["long", "2\n"]]), "a:     1\nlong:  2\\n\n");
});

Deno.test("timeText() is UTC to the second, a dash for an unknown time", () => {
  assert.equal(timeText(1_795_266_578_999), "2026-11-21 13:09:38Z");
  assert.equal(timeText(0), "-");
});

Deno.test("durationText() gives the two largest units", () => {
  for (
    const [seconds, text] of [
      [0, "0 s"],
      [59, "59 s"],
      [60, "1 min 0 s"],
      [3_700, "1 h 1 min"],
      [86_399, "23 h 59 min"],
      [200_000, "2 d 7 h"],
      [86_400 * 1000, "1000 d 0 h"],
    ] as const
  ) assert.equal(durationText(seconds), text);
});
