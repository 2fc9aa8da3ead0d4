import { argumentUnsupported, ErrorDomain, invalidArg } from "../wire/rpc_error.ts";
import { PARAM_TYPE_NAMES, ParamType, type TypedParam } from "../wire/typed_param.ts";

/** A parameter of type uint. */
export function uint(field: string, value: number): TypedParam {
  return { field, type: ParamType.UINT, value };
}

/**
 * Reads the parameters that a client sets, all of them of type uint.
 *
 * @param fields the names that can be set
 * @returns values by name; a name that was not given is missing
 * @throws RpcFailure for a name that cannot be set (74), one given twice or a wrong type (8). Of several
 * mistakes the first by name is told, as libvirt does
 */
export function readUints<F extends string>(
  params: readonly TypedParam[],
  fields: readonly F[],
): Partial<Record<F, number>> {
  const values: Partial<Record<F, number>> = {};
  const sorted = params.toSorted((a, b) => a.field < b.field ? -1 : a.field > b.field ? 1 : 0);
  for (const param of sorted) {
    const field = fields.find((known) => known === param.field);
    if (field === undefined) {
      throw argumentUnsupported(ErrorDomain.NONE, `parameter '${param.field}' not supported`);
    }
    if (values[field] !== undefined) {
      throw invalidArg(ErrorDomain.NONE, `parameter '${field}' occurs multiple times`);
    }
    if (param.type !== ParamType.UINT) {
      const [given, wanted] = [param.type, ParamType.UINT].map((type) => PARAM_TYPE_NAMES[type]);
      throw invalidArg(
        ErrorDomain.NONE,
        `invalid type '${given}' for parameter '${field}', expected '${wanted}'`,
      );
    }
    values[field] = param.value;
  }
  return values;
}
