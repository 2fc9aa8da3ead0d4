import assert from "node:assert/strict";
import { RpcFailure } from "../../src/chassis/wire/rpc_error.ts";

/** A refusal as `code/domain message`; "" when the request succeeds. */
export async function outcome(request: Promise<unknown>): Promise<string> {
  try {
    await request;
    return "";
  } catch (error) {
    if (!(error instanceof RpcFailure)) throw error;
    return `${error.code}/${error.domain} ${error.message}`;
  }
}

/** Checks that a request is refused with `code/domain message`, or with a text that matches. */
export async function assertRefused(request: Promise<unknown>, expected: string | RegExp): Promise<void> {
  const actual = await outcome(request);
  if (typeof expected === "string") assert.equal(actual, expected);
  else assert.match(actual, expected);
}
