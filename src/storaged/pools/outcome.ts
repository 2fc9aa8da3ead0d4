import { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import type { Answer } from "../model/storage_service.ts";

/** Answers with what `value` gives, or with the refusal that it throws. */
export function attempt<Value>(answer: Answer<Value>, value: () => Value): void {
  attempting(answer, () => answer({ kind: "done", value: value() }));
}

/** Answers with the refusal that `begin` throws before it has begun something that answers by itself. */
export function attempting<Value>(answer: Answer<Value>, begin: () => void): void {
  try {
    begin();
  } catch (error) {
    if (!(error instanceof RpcFailure)) throw error;
    answer({ kind: "refused", failure: error });
  }
}

/** Answers with a value. */
export function done<Value>(answer: Answer<Value>, value: Value): void {
  answer({ kind: "done", value });
}

/** Answers with a refusal. */
export function refused<Value>(answer: Answer<Value>, failure: RpcFailure): void {
  answer({ kind: "refused", failure });
}

/** Answers what has ended: with the refusal if there is one, else with what `value` gives. */
export function answered<Value>(
  answer: Answer<Value>,
  value: () => Value,
): (failure: RpcFailure | undefined) => void {
  return (failure) => failure === undefined ? done(answer, value()) : refused(answer, failure);
}
