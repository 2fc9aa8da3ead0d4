import assert from "node:assert/strict";
import { readUints } from "../../../../src/chassis/admin/admin_params.ts";
import { RpcFailure } from "../../../../src/chassis/wire/rpc_error.ts";
import type { TypedParam } from "../../../../src/chassis/wire/typed_param.ts";

const FIELDS = ["maxWorkers", "minWorkers"] as const;

function refusal(params: TypedParam[]): string {
  try {
    readUints(params, FIELDS);
  } catch (error) {
    if (error instanceof RpcFailure) return `${error.code}/${error.domain} ${error.message}`;
    throw error;
  }
  return "none";
}

Deno.test("readUints() gives what was set and nothing else", () => {
  assert.deepEqual(readUints([], FIELDS), {});
  assert.deepEqual(readUints([{ field: "minWorkers", type: 2, value: 0 }], FIELDS), { minWorkers: 0 });
});

Deno.test("readUints() refuses a name that cannot be set", () => {
  assert.equal(
    refusal([{ field: "bogus", type: 2, value: 1 }]),
    "74/0 argument unsupported: parameter 'bogus' not supported",
  );
  assert.equal(
    refusal([{ field: "__proto__", type: 2, value: 1 }]),
    "74/0 argument unsupported: parameter '__proto__' not supported",
  );
});

Deno.test("readUints() refuses a name given twice", () => {
  assert.equal(
    refusal([{ field: "maxWorkers", type: 2, value: 0 }, { field: "maxWorkers", type: 7, value: "x" }]),
    "8/0 invalid argument: parameter 'maxWorkers' occurs multiple times",
  );
});

Deno.test("readUints() refuses every type but uint, by name", () => {
  const wrong: TypedParam[] = [
    { field: "maxWorkers", type: 1, value: 1 },
    { field: "maxWorkers", type: 3, value: 1n },
    { field: "maxWorkers", type: 4, value: 1n },
    { field: "maxWorkers", type: 5, value: 1 },
    { field: "maxWorkers", type: 6, value: true },
    { field: "maxWorkers", type: 7, value: "1" },
  ];
  const types = ["int", "llong", "ullong", "double", "boolean", "string"];
  wrong.forEach((param, index) =>
    assert.equal(
      refusal([param]),
      `8/0 invalid argument: invalid type '${types[index]}' for parameter 'maxWorkers', expected 'uint'`,
    )
  );
});

Deno.test("readUints() tells the mistake that comes first by name", () => {
  assert.equal(
    refusal([{ field: "zz", type: 2, value: 1 }, { field: "maxWorkers", type: 1, value: 1 }]),
    "8/0 invalid argument: invalid type 'int' for parameter 'maxWorkers', expected 'uint'",
  );
});
