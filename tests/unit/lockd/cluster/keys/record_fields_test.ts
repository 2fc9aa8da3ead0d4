import assert from "node:assert/strict";
import {
  fieldsOf,
  numberOf,
  oneOf,
  readable,
  RecordError,
  textOf,
  textsOf,
} from "../../../../../src/lockd/cluster/keys/record_fields.ts";

Deno.test("what is no object is no record, and the error names the key", () => {
  for (const value of ["", "{", "null", "7", '"text"']) {
    assert.throws(
      () => fieldsOf({ key: "k", value }),
      (error) =>
        error instanceof RecordError &&
        error.message === "k holds no record (docs/cluster-etcd.md says what to do with such a key)",
      value,
    );
  }
  assert.deepEqual(fieldsOf({ key: "k", value: '{"a":1}' }), { a: 1 });
});

Deno.test("a field of another type is told of with its key and name", () => {
  const record = { text: "t", number: 7, texts: ["a", "b"], mixed: ["a", 1] };
  assert.equal(textOf("k", record, "text"), "t");
  assert.throws(() => textOf("k", record, "number"), {
    message: "k has no text as its number (docs/cluster-etcd.md says what to do with such a key)",
  });
  assert.throws(() => textOf("k", record, "absent"), {
    message: "k has no text as its absent (docs/cluster-etcd.md says what to do with such a key)",
  });
  assert.equal(numberOf("k", record, "number"), 7);
  assert.throws(() => numberOf("k", record, "text"), {
    message: "k has no number as its text (docs/cluster-etcd.md says what to do with such a key)",
  });
  assert.deepEqual(textsOf("k", record, "texts"), ["a", "b"]);
  for (const field of ["mixed", "text", "absent"]) {
    assert.throws(() => textsOf("k", record, field), {
      message:
        `k has no list of texts as its ${field} (docs/cluster-etcd.md says what to do with such a key)`,
    });
  }
  assert.equal(oneOf("k", record, "text", ["s", "t"]), "t");
  assert.throws(() => oneOf("k", record, "text", ["s"]), {
    message:
      "k has 't' as its text, which is not known (docs/cluster-etcd.md says what to do with such a key)",
  });
});

Deno.test("a number that is no time, process or count is told of: a time that no date can name would end whoever shows it", () => {
  for (const value of [0, 1, 1795960877376, 8.64e15]) {
    assert.equal(numberOf("k", { since: value }, "since"), value);
  }
  for (
    const [text, shown] of [["-1", "-1"], ["1.5", "1.5"], ["8640000000000001", "8640000000000001"], [
      "1e400",
      "Infinity",
    ]] as const
  ) {
    assert.throws(() => numberOf("k", fieldsOf({ key: "k", value: `{"since":${text}}` }), "since"), {
      message:
        `k has ${shown} as its since, which cannot be (docs/cluster-etcd.md says what to do with such a key)`,
    });
  }
});

Deno.test("readable() takes a record that cannot be read for one that says nothing, and no other error", () => {
  assert.equal(readable(() => 7), 7);
  assert.equal(readable(() => fieldsOf({ key: "k", value: "" })), undefined);
  assert.throws(
    () =>
      readable(() => {
        throw new TypeError("other");
      }),
    TypeError,
  );
});
