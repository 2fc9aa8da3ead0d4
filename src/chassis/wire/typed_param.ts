import { XdrError } from "./xdr_error.ts";
import type { XdrReader } from "./xdr_reader.ts";
import type { XdrWriter } from "./xdr_writer.ts";

// docs/protocol.md, Admin program: `param` = string field, i32 type, value.

/** Type numbers of parameters. */
export const ParamType = {
  INT: 1,
  UINT: 2,
  LLONG: 3,
  ULLONG: 4,
  DOUBLE: 5,
  BOOLEAN: 6,
  STRING: 7,
} as const;

/** Names of the types by number, as error messages have them. */
export const PARAM_TYPE_NAMES: readonly (string | undefined)[] = [
  undefined,
  "int",
  "uint",
  "llong",
  "ullong",
  "double",
  "boolean",
  "string",
];

/** A named value with its type. */
export type TypedParam =
  | { field: string; type: typeof ParamType.INT; value: number }
  | { field: string; type: typeof ParamType.UINT; value: number }
  | { field: string; type: typeof ParamType.LLONG; value: bigint }
  | { field: string; type: typeof ParamType.ULLONG; value: bigint }
  | { field: string; type: typeof ParamType.DOUBLE; value: number }
  | { field: string; type: typeof ParamType.BOOLEAN; value: boolean }
  | { field: string; type: typeof ParamType.STRING; value: string };

/**
 * Reads a list of parameters.
 *
 * @param most elements at most
 * @param stringLimit bytes of a field name or string value at most
 * @throws XdrError when it is malformed, over a limit, or a type is unknown
 */
export function decodeParams(reader: XdrReader, most: number, stringLimit: number): TypedParam[] {
  const count = reader.count(most);
  const params: TypedParam[] = [];
  for (let index = 0; index < count; index++) params.push(decodeParam(reader, stringLimit));
  return params;
}

function decodeParam(reader: XdrReader, stringLimit: number): TypedParam {
  const field = reader.string(stringLimit);
  const type = reader.i32();
  switch (type) {
    case ParamType.INT:
      return { field, type, value: reader.i32() };
    case ParamType.UINT:
      return { field, type, value: reader.u32() };
    case ParamType.LLONG:
      return { field, type, value: reader.i64() };
    case ParamType.ULLONG:
      return { field, type, value: reader.u64() };
    case ParamType.DOUBLE:
      return { field, type, value: reader.f64() };
    case ParamType.BOOLEAN:
      return { field, type, value: reader.bool() };
    case ParamType.STRING:
      return { field, type, value: reader.string(stringLimit) };
    default:
      throw new XdrError(`Cannot decode parameter "${field}": type ${type} is not in 1..7`);
  }
}

/**
 * Writes a list of parameters.
 *
 * @throws XdrError when a value does not fit its type
 */
export function encodeParams(writer: XdrWriter, params: readonly TypedParam[]): void {
  writer.u32(params.length);
  for (const param of params) encodeParam(writer, param);
}

function encodeParam(writer: XdrWriter, param: TypedParam): void {
  writer.string(param.field);
  writer.i32(param.type);
  switch (param.type) {
    case ParamType.INT:
      return writer.i32(param.value);
    case ParamType.UINT:
      return writer.u32(param.value);
    case ParamType.LLONG:
      return writer.i64(param.value);
    case ParamType.ULLONG:
      return writer.u64(param.value);
    case ParamType.DOUBLE:
      return writer.f64(param.value);
    case ParamType.BOOLEAN:
      return writer.bool(param.value);
    case ParamType.STRING:
      return writer.string(param.value);
  }
}
