import { ErrorDomain, RpcFailure } from "../../chassis/wire/rpc_error.ts";
import type { ClientLink } from "../rpc/client_link.ts";

const AUTH_FAILED = 45;
const AUTH_CANCELLED = 79;
const AUTH_UNAVAILABLE = 94;
/** VIR_FROM_POLKIT. */
const POLKIT_DOMAIN = 60;

/** remote_auth_type. */
export const AuthType = { NONE: 0, SASL: 1, POLKIT: 2 } as const;

/** How clients of a socket prove that they may be served. */
export type AuthMethod = "none" | "polkit";

/** What came of an authentication. */
export type Verdict =
  | { readonly kind: "granted" }
  | { readonly kind: "denied" }
  /** The person at the keyboard has dismissed the question. */
  | { readonly kind: "cancelled" }
  /** Nobody can be asked: there is no agent for a question that has to be put, about this action. */
  | { readonly kind: "no-agent"; readonly action: string }
  /** Polkit could not be asked. */
  | { readonly kind: "failed"; readonly reason: string };

/** Finds out whether a client may be served. */
export interface Authority {
  methodFor(client: ClientLink): AuthMethod;
  /** Whether it is root or the daemon's own user, as libvirt's daemons are that speak for their clients. */
  trusts(client: ClientLink): boolean;
  /** @param done called once, never before this function has returned */
  ask(client: ClientLink, done: (verdict: Verdict) => void): void;
}

/** What a client is told that was not granted. */
export function authFailure(verdict: Exclude<Verdict, { kind: "granted" }>): RpcFailure {
  switch (verdict.kind) {
    case "denied":
      return failure(AUTH_FAILED, "authentication failed: ", "access denied by policy");
    case "failed":
      // virsh asks again and again, when polkit's domain says this.
      return failure(
        AUTH_FAILED,
        "authentication failed: ",
        `polkit could not be asked: ${verdict.reason}`,
        ErrorDomain.RPC,
      );
    case "cancelled":
      return failure(AUTH_CANCELLED, "authentication cancelled: ", "user cancelled authentication process");
    case "no-agent":
      return failure(
        AUTH_UNAVAILABLE,
        "authentication unavailable: ",
        `no polkit agent available to authenticate action '${verdict.action}'`,
      );
  }
}

function failure(code: number, prefix: string, detail: string, domain = POLKIT_DOMAIN): RpcFailure {
  return new RpcFailure(code, domain, prefix + detail, `${prefix}%s`, detail);
}
