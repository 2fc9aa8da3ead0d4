import { quote } from "../config/quote.ts";
import { UsageError } from "../config/usage_error.ts";

/** Where to serve HTTP. */
export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/**
 * Reads `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`. Port 0 lets the kernel choose.
 *
 * @throws UsageError
 */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (path !== "") return { kind: "unix", path };
  }
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:/\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host !== undefined && port <= 65535) return { kind: "tcp", host, port };
  throw new UsageError(
    `Option "--listen" needs HOST:PORT with a port of at most 65535, or unix:PATH, got ${quote(text)}`,
  );
}

/** The address as `--listen` takes it. */
export function listenAddressText(address: ListenAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}
