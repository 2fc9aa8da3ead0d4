import assert from "node:assert/strict";
import {
  anything,
  byKind,
  exactly,
  fields,
  flag,
  listOf,
  mapOf,
  number,
  oneOf,
  optional,
  parseJson,
  type Shape,
  text,
} from "../../../src/base/shape.ts";

interface Named {
  readonly name: string;
  readonly size?: number;
}

type Message = { readonly kind: "go"; readonly far: number } | { readonly kind: "stop" };

const NAMED: Shape<Named> = fields({ name: text, size: optional(number) });
const MESSAGE: Shape<Message> = byKind("kind", { go: fields({ far: number }), stop: fields({}) });
const COLOUR: Shape<"red" | "blue"> = oneOf({ red: true, blue: true });

const TAKEN: readonly (readonly [string, Shape<unknown>])[] = [
  ['"a"', text],
  ["1.5", number],
  ["false", flag],
  ["null", anything],
  ["true", exactly(true)],
  ['"blue"', COLOUR],
  ['[{"name":"a"},{"name":"b","size":3}]', listOf(NAMED)],
  ["[]", listOf(NAMED)],
  ['{"x":{"name":"a"}}', mapOf(NAMED)],
  // Of a later version.
  ['{"name":"a","colour":"red"}', NAMED],
  ['{"kind":"go","far":2}', MESSAGE],
  ['{"kind":"stop"}', MESSAGE],
];

for (const [json, shape] of TAKEN) {
  Deno.test(`parseJson() takes ${json}`, () => assert.deepEqual(parseJson(json, shape), JSON.parse(json)));
}

const REFUSED: readonly (readonly [string, Shape<unknown>, string])[] = [
  ["1", text, "expected a string, got 1"],
  ["null", text, "expected a string, got null"],
  ['"1"', number, 'expected a number, got "1"'],
  ["0", flag, "expected true or false, got 0"],
  ["false", exactly(true), "expected true, got false"],
  ['"green"', COLOUR, 'expected one of red, blue, got "green"'],
  ['"toString"', COLOUR, 'expected one of red, blue, got "toString"'],
  ["{}", listOf(text), "expected an array, got an object"],
  ['["a",1]', listOf(text), "[1]: expected a string, got 1"],
  ["[]", NAMED, "expected an object, got an array"],
  ["null", NAMED, "expected an object, got null"],
  ["{}", NAMED, "name: expected a string, got nothing"],
  ['{"name":"a","size":null}', NAMED, "size: expected a number, got null"],
  ['[{"name":"a"},{"name":2}]', listOf(NAMED), "[1].name: expected a string, got 2"],
  ['{"x":{"name":2}}', mapOf(NAMED), "x.name: expected a string, got 2"],
  ["{}", MESSAGE, "kind: expected one of go, stop, got nothing"],
  ['{"kind":"fly"}', MESSAGE, 'kind: expected one of go, stop, got "fly"'],
  ['{"kind":"go"}', MESSAGE, "far: expected a number, got nothing"],
];

for (const [json, shape, message] of REFUSED) {
  Deno.test(`parseJson() refuses ${json}: ${message}`, () => {
    assert.throws(() => parseJson(json, shape), { name: "ShapeError", message });
  });
}

Deno.test("parseJson() refuses what is no JSON, and shows how it begins", () => {
  assert.throws(() => parseJson("{", NAMED), /^ShapeError: expected JSON \(.*\), got "\{"$/);
  assert.throws(() => parseJson("x".repeat(100), NAMED), /, got "x{60}"\.\.\.$/);
});
