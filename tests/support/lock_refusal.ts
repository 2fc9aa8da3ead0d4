import { RpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { until } from "./until.ts";

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

/**
 * Asks for something until it is granted. A host that etcd does not answer, or whose link is just being
 * started, refuses it.
 */
export async function untilGranted(ask: () => Promise<unknown>): Promise<void> {
  await until("a request to be granted", async () => await refusalOf(ask()) === undefined);
}

/** The text with which the daemon refuses a request. @throws Error when it does not */
export async function refusal(asked: Promise<unknown>): Promise<string> {
  const text = await refusalOf(asked);
  if (text === undefined) throw new Error("The daemon has granted it");
  return text;
}
