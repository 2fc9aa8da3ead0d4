import assert from "node:assert/strict";
import { asUsed, goOver } from "../../../../../src/lockd/cluster/keys/marks.ts";

const HERE = { session: "s1", attempt: "a1", domain: "web", uuid: "u", pid: 7, start: 9, since: 5 };
const { attempt: _, ...USE } = HERE;

function mark(key: string, record: object) {
  return { key, value: JSON.stringify(record), changedAt: 3 };
}

function met(marks: readonly ReturnType<typeof mark>[], resumed = true) {
  return goOver(marks, HERE, () => resumed, (...names: readonly string[]) => `own ${names.at(-1)}`);
}

Deno.test("goOver() has nothing to do where nobody is paused", () => {
  assert.deepEqual(met([]), { kind: "marks", marks: undefined });
});

Deno.test("goOver() tells other paused guests, also the same domain elsewhere, who has the lock now", () => {
  const other = { ...HERE, session: "s2", attempt: "a2" };
  const seen = [mark("k", other)];
  assert.deepEqual(met(seen), {
    kind: "marks",
    marks: {
      seen,
      changed: [{ key: "k", before: seen[0]?.value, after: JSON.stringify({ ...other, used: USE }) }],
      dropped: [],
    },
  });
});

Deno.test("goOver() takes away the mark of a guest that goes on, and refuses one whose lock was another's", () => {
  const own = mark("k", { ...HERE, attempt: "a0" });
  assert.deepEqual(met([own]), {
    kind: "marks",
    marks: { seen: [own], changed: [], dropped: [{ key: "k", own: "own k" }] },
  });
  const used = { ...USE, domain: "other", pid: 8 };
  const stale = mark("k", { ...HERE, attempt: "a0", used });
  assert.deepEqual(met([stale]), { kind: "used", by: { ...used, attempt: "" } });
  assert.equal(met([stale], false).kind, "marks");
});

Deno.test("goOver() takes another process of the same number for another guest", () => {
  const earlier = mark("k", { ...HERE, start: 8, used: { ...USE, start: 1 } });
  assert.equal(met([earlier]).kind, "marks");
});

Deno.test("goOver() takes two domains for two guests where nothing tells the process, as with Xen", () => {
  const xen = { ...HERE, pid: 0, start: 0 };
  const marks = (uuid: string) =>
    goOver([mark("k", { ...xen, uuid, used: USE })], xen, () => true, (_, key) => `own ${key}`);
  assert.equal(marks("u").kind, "used");
  const other = marks("another");
  assert.deepEqual(other.kind === "marks" ? other.marks?.changed.map(({ key }) => key) : [], ["k"]);
  assert.deepEqual(other.kind === "marks" ? other.marks?.dropped : undefined, []);
});

Deno.test("asUsed() says that somebody had the lock, whose guest does not go on then", () => {
  const own = { ...HERE, attempt: "a0" };
  const used = asUsed({ key: "k", own: "o", value: JSON.stringify(own) });
  const outcome = met([{ ...used, changedAt: 3 }]);
  assert.equal(outcome.kind === "used" ? outcome.by.domain : outcome.kind, "(not known any more)");
});
