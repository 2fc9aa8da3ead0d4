import assert from "node:assert/strict";
import { decodeToLink } from "../../../../src/etcd/wire/decode_to_link.ts";
import { withOneReplaced } from "../../../support/damaged.ts";
import { encodeLine, type Question, type ToLink } from "../../../../src/etcd/wire/link_messages.ts";

/** Every kind of question, condition and operation, with and without what may be absent. */
const QUESTIONS: readonly Question[] = [
  {
    kind: "transaction",
    transaction: {
      compare: [
        { kind: "changed-at", key: "a", revision: 4 },
        { kind: "value", key: "a", value: "b" },
        { kind: "none-below", prefix: "a/" },
      ],
      success: [
        { op: "put", key: "a", value: "b" },
        { op: "put", key: "a", value: "b", lease: "7" },
        { op: "delete", key: "a" },
      ],
      failure: [
        { op: "get", key: "a" },
        { op: "list", prefix: "a/", limit: 10 },
        { op: "list", prefix: "a/", after: "a/b", limit: 10 },
        { op: "list", prefix: "a/", after: "a/b", upTo: "a/c", limit: 10 },
        { op: "count", prefix: "a/" },
      ],
    },
  },
  { kind: "transaction", transaction: { compare: [], success: [], failure: [] } },
  { kind: "grant-lease", seconds: 10 },
  { kind: "keep-lease", lease: "7" },
  { kind: "await-change", prefix: "a/", from: 4 },
  { kind: "await-delete", range: { first: "a/", behind: "c" }, from: 4 },
  { kind: "versions" },
];

const MESSAGES: readonly ToLink[] = [
  { kind: "open", protocol: 3, endpoints: { urls: ["http://etcd:2379"] } },
  {
    kind: "open",
    protocol: 3,
    endpoints: { urls: ["https://etcd:2379"], caFile: "/ca", certFile: "/cert", keyFile: "/key" },
  },
  ...QUESTIONS.map((question): ToLink => ({ kind: "ask", id: 1, limitMs: 500, question })),
];

Deno.test("decodeToLink() gives back every kind of message", () => {
  for (const message of MESSAGES) assert.deepEqual(decodeToLink(encodeLine(message)), message);
});

Deno.test("decodeToLink() takes no message of which any part is something else", () => {
  for (const message of MESSAGES) {
    // There is neither a list of lists nor a true anywhere.
    for (const wrong of [[[]], true, null]) {
      for (const damaged of withOneReplaced(message, wrong)) {
        assert.equal(decodeToLink(JSON.stringify(damaged)), undefined, JSON.stringify(damaged));
      }
    }
  }
});

Deno.test("decodeToLink() takes nothing that is cut, or no message", () => {
  for (const line of ["", "{", "[]", "null", "3", '{"kind":"close"}', '{"kind":"ask"}']) {
    assert.equal(decodeToLink(line), undefined);
  }
});
