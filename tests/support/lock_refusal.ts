import { RpcFailure } from "../../src/chassis/wire/rpc_error.ts";

/** The text with which the daemon refuses a request; undefined when it does not. */
export async function refusalOf(asked: Promise<unknown>): Promise<string | undefined> {
  try {
    await asked;
    return undefined;
  } catch (error) {
    if (error instanceof RpcFailure) return error.message;
    throw error;
  }
}

/** The text with which the daemon refuses a request. @throws Error when it does not */
export async function refusal(asked: Promise<unknown>): Promise<string> {
  const text = await refusalOf(asked);
  if (text === undefined) throw new Error("The daemon has granted it");
  return text;
}
