import assert from "node:assert/strict";
import {
  argumentUnsupported,
  decodeRpcFailure,
  encodeRpcFailure,
  ErrorDomain,
  internalError,
  invalidArg,
  noClient,
  noServer,
  operationDenied,
  operationInvalid,
  resourceBusy,
  rpcError,
  RpcFailure,
  systemError,
  unsupportedFlags,
} from "../../../../src/chassis/wire/rpc_error.ts";
import { XdrError } from "../../../../src/chassis/wire/xdr_error.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";

function encoded(failure: RpcFailure): Uint8Array {
  const writer = new XdrWriter();
  encodeRpcFailure(writer, failure);
  return writer.copy();
}

const FAILURES: [failure: RpcFailure, fields: Record<string, unknown>][] = [
  [internalError(ErrorDomain.RPC, "x"), {
    code: 1,
    domain: 7,
    message: "internal error: x",
    str1: "internal error: %s",
    str2: "x",
    int1: -1,
    int2: -1,
  }],
  [invalidArg(ErrorDomain.NONE, "x"), {
    code: 8,
    domain: 0,
    message: "invalid argument: x",
    str1: "invalid argument: %s",
    str2: "x",
    int1: -1,
    int2: -1,
  }],
  [operationDenied(ErrorDomain.RPC, "x"), {
    code: 29,
    domain: 7,
    message: "operation forbidden: x",
    str1: "operation forbidden: %s",
    str2: "x",
    int1: -1,
    int2: -1,
  }],
  [systemError(ErrorDomain.LOCKSPACE, "Unable to open resource /x", 2, "No such file or directory"), {
    code: 38,
    domain: 51,
    message: "Unable to open resource /x: No such file or directory",
    str1: "%s",
    str2: "Unable to open resource /x: No such file or directory",
    int1: 2,
    int2: -1,
  }],
  [rpcError(ErrorDomain.RPC, "unknown procedure: 9"), {
    code: 39,
    domain: 7,
    message: "unknown procedure: 9",
    str1: "%s",
    str2: "unknown procedure: 9",
    int1: -1,
    int2: -1,
  }],
  [operationInvalid(ErrorDomain.RPC, "x"), {
    code: 55,
    domain: 7,
    message: "Requested operation is not valid: x",
    str1: "Requested operation is not valid: %s",
    str2: "x",
    int1: -1,
    int2: -1,
  }],
  [argumentUnsupported(ErrorDomain.NONE, "x"), {
    code: 74,
    domain: 0,
    message: "argument unsupported: x",
    str1: "argument unsupported: %s",
    str2: "x",
    int1: -1,
    int2: -1,
  }],
  [resourceBusy(ErrorDomain.LOCKSPACE, "x"), {
    code: 87,
    domain: 51,
    message: "resource busy: x",
    str1: "resource busy: %s",
    str2: "x",
    int1: -1,
    int2: -1,
  }],
  [noServer(ErrorDomain.ADMIN, "x"), {
    code: 95,
    domain: 62,
    message: "Server not found: x",
    str1: "Server not found: %s",
    str2: "x",
    int1: -1,
    int2: -1,
  }],
  [noClient(ErrorDomain.ADMIN, "x"), {
    code: 96,
    domain: 62,
    message: "Client not found: x",
    str1: "Client not found: %s",
    str2: "x",
    int1: -1,
    int2: -1,
  }],
  [unsupportedFlags(ErrorDomain.RPC, 0x80000004, "acquire"), {
    code: 8,
    domain: 7,
    message: "unsupported flags (0x80000004) in function acquire",
    str1: "acquire",
    str2: "flags",
    int1: 0,
    int2: 0,
  }],
];

for (const [failure, fields] of FAILURES) {
  Deno.test(`RpcFailure of code ${failure.code} with "${failure.message}" has its fields, also after the wire`, () => {
    for (const same of [failure, decodeRpcFailure(new XdrReader(encoded(failure)))]) {
      assert.deepEqual({ ...same }, { name: "RpcFailure", ...fields });
    }
  });
}

// deno-fmt-ignore: one byte per line would hide the fields
const NOT_FOUND = [
  0, 0, 0, 38, 0, 0, 0, 51,
  0, 0, 0, 1, 0, 0, 0, 5, 0x78, 0x3a, 0x20, 0x6e, 0x6f, 0, 0, 0,
  0, 0, 0, 2, 0, 0, 0, 0,
  0, 0, 0, 1, 0, 0, 0, 2, 0x25, 0x73, 0, 0,
  0, 0, 0, 1, 0, 0, 0, 5, 0x78, 0x3a, 0x20, 0x6e, 0x6f, 0, 0, 0,
  0, 0, 0, 0,
  0, 0, 0, 2, 255, 255, 255, 255, 0, 0, 0, 0,
];

Deno.test("encodeRpcFailure() writes every field in its place", () => {
  assert.deepEqual([...encoded(systemError(51, "x", 2, "no"))], NOT_FOUND);
});

Deno.test("decodeRpcFailure() throws when the payload is cut at any byte", () => {
  const bytes = Uint8Array.from(NOT_FOUND);
  for (let end = 0; end < bytes.length; end++) {
    assert.throws(() => decodeRpcFailure(new XdrReader(bytes, 0, end)), XdrError, `cut at ${end}`);
  }
});

Deno.test("decodeRpcFailure() reads an error of nothing but numbers", () => {
  const bytes = new Uint8Array(44);
  bytes[3] = 1;
  const failure = decodeRpcFailure(new XdrReader(bytes));
  assert.equal(failure.code, 1);
  assert.equal(failure.message, "");
  assert.equal(failure.str1, undefined);
  assert.equal(failure.str2, undefined);
});

Deno.test("decodeRpcFailure() throws for an error with a domain or a network", () => {
  for (const [offset, what] of [[16, "domain"], [40, "network"]] as const) {
    const bytes = new Uint8Array(44);
    bytes[offset] = 1;
    assert.throws(() => decodeRpcFailure(new XdrReader(bytes)), {
      name: "XdrError",
      message: `Cannot decode error: it carries a ${what}`,
    });
  }
});

Deno.test("RpcFailure can be thrown and told from other errors", () => {
  const failure = resourceBusy(ErrorDomain.LOCKSPACE, "x");
  assert.throws(() => {
    throw failure;
  }, (error) => error instanceof RpcFailure && error instanceof Error && !(error instanceof XdrError));
  assert.equal(failure.stack, "RpcFailure: resource busy: x");
});
