import type { ByteOperation } from "../../../../src/chassis/journal/client_bytes.ts";
import { ByteCode, decodeBytes, encodeBytes } from "../../../../src/chassis/journal/byte_codec.ts";
import type {
  LogFormat,
  Payload,
  RecordDecoder,
  RecordEncoder,
} from "../../../../src/chassis/journal/log_format.ts";

/** What a daemon records that has nothing to do with locks: values by name. */
export type ToyOperation =
  | { readonly op: "set"; readonly name: string; readonly value: number }
  | ByteOperation;

const SET = 1;
const NAMES = new Map<number, ByteOperation["op"]>(
  Object.entries(ByteCode).map(([name, code]) => [code, name as ByteOperation["op"]]),
);

class ToyEncoder implements RecordEncoder<ToyOperation> {
  encode(operations: readonly ToyOperation[]): Payload {
    const bytes: Uint8Array[] = [];
    const piece = (each: Uint8Array) => {
      bytes.push(each);
      return each.length;
    };
    const texts = operations.map((operation) =>
      operation.op === "set"
        ? JSON.stringify([SET, operation.name, operation.value])
        : encodeBytes(operation, piece)
    );
    return { text: `[${texts.join(",")}]`, bytes };
  }

  restart(): void {}
}

class ToyDecoder implements RecordDecoder<ToyOperation> {
  decode(text: string, bytes: Uint8Array): readonly ToyOperation[] {
    let at = 0;
    const piece = (length: number) => bytes.slice(at, at += length);
    return (JSON.parse(text) as [number, ...unknown[]][]).map(([code, ...fields]): ToyOperation => {
      const op = NAMES.get(code);
      if (op !== undefined) return decodeBytes(op, fields, piece);
      const [name, value] = fields as [string, number];
      return { op: "set", name, value };
    });
  }

  encoder(): RecordEncoder<ToyOperation> {
    return new ToyEncoder();
  }
}

/** How it writes them. */
export const TOY_FORMAT: LogFormat<ToyOperation> = {
  encoder: () => new ToyEncoder(),
  decoder: () => new ToyDecoder(),
  bytesOf: (operation) => operation.op === "set" ? undefined : operation,
};
