/** Where etcd listens for clients unless it is told otherwise. */
const ETCD_PORT = "2379";

/** Where a member of etcd is. */
export interface MemberAddress {
  /** Name, or address; one of IPv6 in brackets. */
  readonly host: string;
  readonly port: string;
}

/**
 * Where the member with a URL is. A URL itself forgets a port that its scheme has anyway, 443 or 80, and that
 * is not etcd's.
 *
 * @param url `https://NAME:PORT` or `http://NAME:PORT`; without a port it is etcd's own
 * @throws Error when it is none
 */
export function memberAddress(url: string): MemberAddress {
  const [, host, port = ETCD_PORT] = /^https?:\/\/(\[[^\]]+\]|[^:/]+)(?::([0-9]+))?\/?$/.exec(url) ?? [];
  if (host === undefined || Number(port) > 65535) throw new Error(`Not a URL of etcd: ${url}`);
  return { host, port };
}
