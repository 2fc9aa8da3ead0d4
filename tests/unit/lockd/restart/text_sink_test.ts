import assert from "node:assert/strict";
import { TextSink } from "../../../../src/lockd/restart/text_sink.ts";

Deno.test("TextSink.finish() returns nothing for nothing", () => {
  assert.deepEqual(new TextSink().finish(), new Uint8Array(0));
});

Deno.test("TextSink.addList() puts commas between, not around", () => {
  const sink = new TextSink();
  sink.add("[");
  sink.addList([1, 2, 3], (value) => `<${value}>`);
  sink.addList([], String);
  sink.add("]");
  assert.equal(new TextDecoder().decode(sink.finish()), "[<1>,<2>,<3>]");
});

Deno.test("TextSink.add() keeps every character of texts of any length", () => {
  const pieces = ["a", "\u00e9".repeat(16383), "\u20ac".repeat(700_000), "", "\u{1f600}".repeat(9000), "z"];
  const sink = new TextSink();
  for (const piece of pieces) sink.add(piece);
  assert.deepEqual(sink.finish(), new TextEncoder().encode(pieces.join("")));
});
