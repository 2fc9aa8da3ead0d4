import { joined } from "../../base/joined.ts";
import type { ExchangeRemains } from "../rpc/counted_exchange.ts";
import type { InputBytes } from "../rpc/durability.ts";
import type { ClientBytes } from "./client_bytes.ts";

/** What clients have sent and not got served, and what they have not got of their replies. */
export interface InFlight {
  readonly inputs: ReadonlyMap<number, InputBytes>;
  readonly outputs: ReadonlyMap<number, Uint8Array>;
}

/**
 * Puts together what the log and the exchange area say of the moment in which the daemon died.
 *
 * - Received, not answered: served again. Nothing of it was recorded: the daemon undoes what it did,
 *   and what it did to files (made one, removed one) comes to the same when it is done twice.
 * - Answered by a record, reply not wholly sent: exactly the rest is sent.
 * - Answered without a record (it changed nothing): once the kernel took a byte of the reply, the rest is
 *   sent; before, the request is served again.
 */
export function inFlight(state: ClientBytes, remains: ExchangeRemains): InFlight {
  const inputs = state.inputs;
  const outputs = new Map(state.outputs);
  addReply(outputs, state, remains);
  addTurn(inputs, state, remains);
  return { inputs, outputs };
}

function addReply(outputs: Map<number, Uint8Array>, state: ClientBytes, remains: ExchangeRemains): void {
  const done = Math.max(state.done, remains.done);
  if (state.reply !== undefined && state.reply.number > done) outputs.set(state.reply.key, state.reply.bytes);
  const { number, client, sent, bytes } = remains.reply;
  if (number <= done || sent === 0) return;
  const whole = bytes ?? outputs.get(client) ?? new Uint8Array(0);
  if (sent < whole.length) outputs.set(client, whole.slice(sent));
  else outputs.delete(client);
}

function addTurn(inputs: Map<number, InputBytes>, state: ClientBytes, remains: ExchangeRemains): void {
  const { turn, client, received } = remains;
  if (turn <= state.closedTurn || client === 0) return;
  const consumed = Math.max(remains.consumed, state.consumed.turn === turn ? state.consumed.end : 0);
  const before = inputs.get(client);
  if (received === undefined) {
    if (before === undefined || consumed === 0) return;
    setInput(inputs, client, { bytes: before.bytes.slice(consumed), dropped: 0 });
    return;
  }
  const rest = received.slice(consumed);
  // Bytes of a message whose end is not kept: they are its next ones.
  const after = before !== undefined && before.dropped > 0
    ? { bytes: before.bytes, dropped: before.dropped + rest.length }
    : { bytes: joined(before === undefined ? [rest] : [before.bytes, rest]), dropped: 0 };
  setInput(inputs, client, after);
}

function setInput(inputs: Map<number, InputBytes>, key: number, input: InputBytes): void {
  if (input.bytes.length + input.dropped === 0) inputs.delete(key);
  else inputs.set(key, input);
}
