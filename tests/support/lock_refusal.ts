import { RpcFailure } from "../../src/chassis/wire/rpc_error.ts";

/** The text with which the daemon refuses a request. @throws Error when it does not */
export async function refusal(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
  } catch (error) {
    if (error instanceof RpcFailure) return error.message;
    throw error;
  }
  throw new Error("The daemon has granted it");
}
