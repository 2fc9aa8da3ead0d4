import type { ByteOperation } from "./client_bytes.ts";

/** First element of such an operation in a record. A daemon's own operations have others. */
export const ByteCode = {
  gone: 10,
  input: 14,
  added: 15,
  output: 16,
  served: 17,
} as const satisfies Readonly<
  Record<ByteOperation["op"], number>
>;

/**
 * An operation as an element of a record. Put together by hand: an array for JSON.stringify would cost each
 * request as much as the rest of a record.
 *
 * @param piece puts bytes behind the record's text. @returns how many
 */
export function encodeBytes(operation: ByteOperation, piece: (bytes: Uint8Array) => number): string {
  switch (operation.op) {
    case "gone":
      return `[${ByteCode.gone},${operation.key}]`;
    case "input":
    case "added": {
      const { op, key, bytes, dropped, turn } = operation;
      return `[${ByteCode[op]},${key},${piece(bytes)},${dropped},${turn}]`;
    }
    case "output": {
      const { key, bytes, reply, turn, end } = operation;
      return `[${ByteCode.output},${key},${piece(bytes)},${reply},${turn},${end}]`;
    }
    case "served": {
      const { key, front, turn, end, reply, bytes } = operation;
      return `[${ByteCode.served},${key},${piece(bytes)},${front},${turn},${end},${reply}]`;
    }
  }
}

type Input = [key: number, length: number, dropped: number, turn: number];
type Output = [key: number, length: number, reply: number, turn: number, end: number];
type Served = [key: number, length: number, front: number, turn: number, end: number, reply: number];

/**
 * Reads what {@link encodeBytes} has written.
 *
 * @param fields of a record whose checksum has proven that it is what was written
 * @param piece takes so many bytes from behind the record's text
 */
export function decodeBytes(
  op: ByteOperation["op"],
  fields: readonly unknown[],
  piece: (length: number) => Uint8Array,
): ByteOperation {
  switch (op) {
    case "gone": {
      const [key] = fields as [number];
      return { op, key };
    }
    case "input":
    case "added": {
      const [key, length, dropped, turn] = fields as Input;
      return { op, key, bytes: piece(length), dropped, turn };
    }
    case "output": {
      const [key, length, reply, turn, end] = fields as Output;
      return { op, key, bytes: piece(length), reply, turn, end };
    }
    case "served": {
      const [key, length, front, turn, end, reply] = fields as Served;
      return { op, key, bytes: piece(length), front, turn, end, reply };
    }
  }
}
