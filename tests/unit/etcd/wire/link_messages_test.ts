import assert from "node:assert/strict";
import { decodeFromLink, encodeLine, type FromLink } from "../../../../src/etcd/wire/link_messages.ts";

const MESSAGES: readonly FromLink[] = [
  { kind: "opened", protocol: 1 },
  { kind: "unusable", reason: "no key" },
  { kind: "answer", id: 3, answer: { kind: "lease", lease: "7", seconds: 0 } },
  { kind: "answer", id: 4, answer: { kind: "unknown", reason: "gone" } },
  { kind: "answer", id: 7, answer: { kind: "versions", members: [{ url: "u", version: "3.5.16" }] } },
  { kind: "answer", id: 8, answer: { kind: "versions", members: [{ url: "u", reason: "gone" }] } },
  { kind: "answer", id: 9, answer: { kind: "deleted", keys: ["k"], all: true, until: 5 } },
  { kind: "answer", id: 6, answer: { kind: "full", reason: "etcd is full" } },
  {
    kind: "answer",
    id: 5,
    answer: {
      kind: "transaction",
      result: {
        succeeded: false,
        results: [{ found: [{ key: "k", value: "v\n", changedAt: 2 }], more: false }],
        cluster: "1",
        revision: 9,
      },
    },
  },
];

Deno.test("each message is one line, and is read again", () => {
  for (const message of MESSAGES) {
    const line = encodeLine(message);
    assert.equal(line.indexOf("\n"), line.length - 1);
    assert.deepEqual(decodeFromLink(line), message);
  }
});

Deno.test("a message of which any field is missing or of another type is none", () => {
  for (const message of MESSAGES) {
    for (const line of [...damaged(message)]) assert.equal(decodeFromLink(line), undefined, line);
  }
});

Deno.test("who has answered, and of which etcd, is told or not, and nothing but a text", () => {
  const version = (cluster: unknown) =>
    `{"kind":"answer","id":1,"answer":{"kind":"versions","members":[{"url":"u","version":"v","cluster":${cluster}}]}}`;
  const answer = { kind: "versions", members: [{ url: "u", version: "v", cluster: "7" }] };
  assert.deepEqual(decodeFromLink(version('"7"')), { kind: "answer", id: 1, answer });
  assert.equal(decodeFromLink(version(7)), undefined);
  const from = (url: unknown) =>
    `{"kind":"answer","id":1,"answer":{"kind":"transaction","from":${url},"result":` +
    '{"succeeded":true,"results":[],"cluster":"1","revision":9}}}';
  const result = { succeeded: true, results: [], cluster: "1", revision: 9 };
  assert.deepEqual(decodeFromLink(from('"u"')), {
    kind: "answer",
    id: 1,
    answer: { kind: "transaction", from: "u", result },
  });
  assert.equal(decodeFromLink(from(1)), undefined);
});

for (
  const line of [
    "",
    "{",
    "null",
    "[]",
    "1",
    '{"kind":"other"}',
    '{"kind":"answer","id":1,"answer":{"kind":"x"}}',
  ]
) {
  Deno.test(`'${line}' is no message`, () => assert.equal(decodeFromLink(line), undefined));
}

/** The message with each of its fields left out, or replaced, at any depth. */
function* damaged(value: unknown, wrap: (value: unknown) => unknown = (same) => same): Generator<string> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    const copy = (changed: unknown) =>
      wrap(
        Array.isArray(value)
          ? value.map((each, at) => String(at) === key ? changed : each)
          : { ...value, [key]: changed },
      );
    yield JSON.stringify(copy(undefined));
    yield JSON.stringify(copy(typeof inner === "object" ? 1 : { x: 1 }));
    yield* damaged(inner, copy);
  }
}
