import { ErrorDomain, internalError, RpcFailure } from "../../chassis/wire/rpc_error.ts";

const NO_CONNECT = 5;

/** What a URI that is opened stands for. */
export type OpenedUri = { readonly kind: "uri"; readonly uri: string } | {
  readonly kind: "refused";
  readonly failure: RpcFailure;
};

/**
 * Whether this daemon serves a URI.
 *
 * @param name as the client gives it; undefined for whatever the daemon has
 * @param privileged whether this is the host's daemon, and not that of a session
 */
export function openUri(name: string | undefined, privileged: boolean): OpenedUri {
  const own = `storage:///${privileged ? "system" : "session"}`;
  if (name === undefined || name === "") return { kind: "uri", uri: own };
  const [, scheme, authority = "", path = ""] = /^([A-Za-z][\w.+-]*):(?:\/\/([^/?#]*))?([^?#]*)/.exec(name) ??
    [];
  if (scheme !== "storage" || authority !== "") {
    const message = `no connection driver available for ${name}`;
    const failure = new RpcFailure(
      NO_CONNECT,
      ErrorDomain.NONE,
      message,
      "no connection driver available for %s",
      name,
    );
    return { kind: "refused", failure };
  }
  if (path !== (privileged ? "/system" : "/session")) {
    const detail = `unexpected storage URI path '${path}', try ${own}`;
    return { kind: "refused", failure: internalError(ErrorDomain.NONE, detail) };
  }
  return { kind: "uri", uri: own };
}
