import assert from "node:assert/strict";
import { isRule, type Rule, RULES } from "../cluster_states/protocol.ts";
import { search } from "../cluster_states/search.ts";

// The protocol of locks in etcd, without the daemon's code: every state that it can reach.

Deno.test("no state of three hosts has two guests with one disk, or something that is left behind", () => {
  const { wrong, way, states } = search(3, new Set());
  assert.equal(wrong, undefined, way.join("\n"));
  assert.ok(states > 1_000_000, `${states} states`);
});

const FOUND_WITHOUT: Readonly<Record<Rule, RegExp>> = {
  "acquire-epoch": /^something is left in etcd/,
  "acquire-absent": /^two guests write/,
  "release-record": /^two guests write/,
  "bump": /^something is left in etcd/,
  "look-up": /^something is left in etcd/,
  "answer-last": /^two guests write/,
  "quiesce": /^two guests write/,
  "start-bump": /^something is left in etcd/,
  "start-list": /^something is left in etcd/,
  "start-living": /^two guests write/,
  "start-quiesce": /^two guests write/,
  "no-lease": /^two guests write/,
  "fence-session": /^something is left in etcd/,
  "fence-truth": /^two guests write/,
};

for (const [rule, text] of Object.entries(RULES)) {
  Deno.test(`it is noticed with two hosts when this is left out: ${text}`, () => {
    assert.ok(isRule(rule));
    const { wrong = "" } = search(2, new Set([rule]));
    assert.match(wrong, FOUND_WITHOUT[rule]);
  });
}
