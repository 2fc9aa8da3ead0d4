import { joined } from "../../base/joined.ts";
import { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { decodeText, encodeText } from "../../os/text.ts";
import { storageError } from "../model/storage_error.ts";
import { documentText, readDocument } from "./document.ts";

// Between the daemon and a helper: documents in the pieces of a SOCK_SEQPACKET socket pair. The first byte of
// a piece says whether another one follows. Descriptors come with the first piece of a document. Between
// documents a helper may send batches, each in a piece of its own: parts of what the operation under way is
// to bring, as bytes that only the operation knows. Both ends are the same program.

/** The helper's end of the socket pair. */
export const WORK_SOCKET = 3;
/** The command that runs a helper. */
export const WORK_COMMAND = "internal-work";
/** Bytes of a piece, with its first byte. */
export const PIECE_SIZE = 65536;

const LAST = 0;
const MORE = 1;
const BATCH = 2;

/** From the daemon to a helper. */
export type ToHelper =
  | { readonly kind: "run"; readonly id: number; readonly operation: string; readonly args: unknown }
  /** Nobody wants the result of this request any more. */
  | { readonly kind: "cancel"; readonly id: number };

/** From a helper to the daemon. */
export type FromHelper =
  /** It has come up. */
  | { readonly kind: "ready" }
  | { readonly kind: "progress"; readonly id: number; readonly done: number; readonly total: number }
  /** Something goes on. */
  | { readonly kind: "alive"; readonly id: number }
  | { readonly kind: "done"; readonly id: number; readonly result: unknown }
  | { readonly kind: "refused"; readonly id: number; readonly failure: FailureFields }
  /** `trace`: of an error that nobody has foreseen. */
  | { readonly kind: "crashed"; readonly id: number; readonly trace: string }
  | { readonly kind: "cancelled"; readonly id: number };

/** An RpcFailure on its way. */
export interface FailureFields {
  readonly code: number;
  readonly domain: number;
  readonly message: string;
  readonly str1?: string;
  readonly str2?: string;
  readonly int1: number;
  readonly int2: number;
}

/** What a failure is made of. */
export function failureFields(failure: RpcFailure): FailureFields {
  const { code, domain, message, str1, str2, int1, int2 } = failure;
  return {
    code,
    domain,
    message,
    ...str1 === undefined ? {} : { str1 },
    ...str2 === undefined ? {} : { str2 },
    int1,
    int2,
  };
}

/** The failure again. */
export function failureOf({ code, domain, message, str1, str2, int1, int2 }: FailureFields): RpcFailure {
  return new RpcFailure(code, domain, message, str1, str2, int1, int2);
}

/** What a client is told when a helper ended in the middle of its request. */
export function helperEnded(): RpcFailure {
  return storageError("failed", "the helper process ended before the operation was done");
}

/** The pieces of a message, each with its first byte. */
export function encodePieces(message: ToHelper | FromHelper): Uint8Array[] {
  const bytes = encodeText(documentText(message));
  const pieces: Uint8Array[] = [];
  let at = 0;
  do {
    const length = Math.min(PIECE_SIZE - 1, bytes.length - at);
    const piece = new Uint8Array(1 + length);
    piece[0] = at + length < bytes.length ? MORE : LAST;
    piece.set(bytes.subarray(at, at + length), 1);
    pieces.push(piece);
    at += length;
  } while (at < bytes.length);
  return pieces;
}

/** A batch as a piece. @param batch at most {@link PIECE_SIZE} - 1 bytes */
export function batchPiece(batch: Uint8Array): Uint8Array {
  const piece = new Uint8Array(1 + batch.length);
  piece[0] = BATCH;
  piece.set(batch, 1);
  return piece;
}

/** The batch in a piece, as bytes of its own; undefined: it is a piece of a document. */
export function batchOf(piece: Uint8Array): Uint8Array | undefined {
  return piece[0] === BATCH ? piece.slice(1) : undefined;
}

/** Puts messages together from their pieces. Only for what this program itself has sent. */
export class PieceReader<Message extends ToHelper | FromHelper> {
  #pieces: Uint8Array[] = [];

  /** @returns the message that this piece completes */
  add(piece: Uint8Array): Message | undefined {
    this.#pieces.push(piece.slice(1));
    if (piece[0] === MORE) return undefined;
    const all = joined(this.#pieces);
    this.#pieces = [];
    return readDocument(decodeText(all)) as Message;
  }
}
