import assert from "node:assert/strict";
import { RpcFailure } from "../../../../src/chassis/wire/rpc_error.ts";
import { ParamType, type TypedParam } from "../../../../src/chassis/wire/typed_param.ts";
import { identityOf } from "../../../../src/storaged/programs/identity_params.ts";

const pid: TypedParam = { field: "process-id", type: ParamType.LLONG, value: 12n };
const uid: TypedParam = { field: "unix-user-id", type: ParamType.ULLONG, value: 0n };

/** The message of a refusal. */
function refusal(params: readonly TypedParam[]): string {
  const result = identityOf(params);
  assert.ok(result instanceof RpcFailure);
  return result.message;
}

Deno.test("identityOf() keeps process and user", () => {
  assert.deepEqual(identityOf([pid, uid]), { pid: 12, uid: 0 });
  assert.deepEqual(identityOf([]), { pid: undefined, uid: undefined });
});

Deno.test("identityOf() takes no numbers that nobody has", () => {
  const far: TypedParam = { ...pid, value: 1n << 40n };
  const below: TypedParam = { ...pid, value: -1n };
  const nobody: TypedParam = { ...uid, value: 0xffff_ffffn };
  assert.deepEqual(identityOf([far, nobody]), { pid: undefined, uid: undefined });
  assert.deepEqual(identityOf([below]), { pid: undefined, uid: undefined });
});

Deno.test("identityOf() refuses what it does not know, twice the same, and wrong types", () => {
  assert.equal(
    refusal([{ field: "x", type: ParamType.INT, value: 1 }]),
    "invalid argument: parameter 'x' not supported",
  );
  assert.equal(refusal([pid, pid]), "invalid argument: parameter 'process-id' occurs multiple times");
  assert.equal(
    refusal([{ field: "process-id", type: ParamType.INT, value: 1 }]),
    "invalid argument: invalid type 'int' for parameter 'process-id', expected 'llong'",
  );
});
