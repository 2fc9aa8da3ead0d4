import { invalidArg } from "../../chassis/wire/rpc_error.ts";
import type { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { PARAM_TYPE_NAMES, ParamType, type TypedParam } from "../../chassis/wire/typed_param.ts";
import type { ClientIdentity } from "./storage_session.ts";

/** VIR_FROM_IDENTITY. */
const IDENTITY_DOMAIN = 52;

/** Parameters of an identity with their types. */
const FIELDS: Readonly<Record<string, number>> = {
  "user-name": ParamType.STRING,
  "unix-user-id": ParamType.ULLONG,
  "group-name": ParamType.STRING,
  "unix-group-id": ParamType.ULLONG,
  "process-id": ParamType.LLONG,
  "process-time": ParamType.ULLONG,
  "sasl-user-name": ParamType.STRING,
  "x509-distinguished-name": ParamType.STRING,
  "selinux-context": ParamType.STRING,
  "system.token": ParamType.STRING,
};

const MOST_PID = 2 ** 31 - 1;
const MOST_UID = 2 ** 32 - 2;

/**
 * For whom a daemon speaks that forwards calls. The token is neither kept nor shown: nothing asks for it.
 *
 * @returns why the parameters make none
 */
export function identityOf(params: readonly TypedParam[]): ClientIdentity | RpcFailure {
  const seen = new Map<string, TypedParam>();
  for (const param of params) {
    const wanted = FIELDS[param.field];
    if (wanted === undefined) return refused(`parameter '${param.field}' not supported`);
    if (seen.has(param.field)) return refused(`parameter '${param.field}' occurs multiple times`);
    if (param.type !== wanted) {
      const [given, expected] = [PARAM_TYPE_NAMES[param.type], PARAM_TYPE_NAMES[wanted]];
      return refused(`invalid type '${given}' for parameter '${param.field}', expected '${expected}'`);
    }
    seen.set(param.field, param);
  }
  return {
    pid: whole(seen.get("process-id"), MOST_PID),
    uid: whole(seen.get("unix-user-id"), MOST_UID),
  };
}

function whole(param: TypedParam | undefined, most: number): number | undefined {
  const value = typeof param?.value === "bigint" ? Number(param.value) : undefined;
  return value !== undefined && value >= 0 && value <= most ? value : undefined;
}

function refused(detail: string): RpcFailure {
  return invalidArg(IDENTITY_DOMAIN, detail);
}
