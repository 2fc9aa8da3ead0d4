/** Where the pages are that a site is set up by. */
export const ETCD_PAGE = "cluster-etcd.md";
export const CLUSTER_PAGE = "cluster.md";

/** One of the three machines of a site. */
export type Place = 0 | 1 | 2;
/** All of them. */
export const PLACES = [0, 1, 2] as const;

/** Names and address of the member of etcd and the host that a machine is, as the pages have them. */
export const NAMES = [
  { member: "etcd1", host: "kvm7", address: "192.0.2.11" },
  { member: "etcd2", host: "kvm8", address: "192.0.2.12" },
  { member: "etcd3", host: "kvm9", address: "192.0.2.13" },
] as const;

/** What the page has of the first member, for another one. */
export function ofMember(text: string, place: Place): string {
  const { member, address } = NAMES[place];
  return text.split("\n").map((line) => {
    if (/ETCD_INITIAL_CLUSTER=|--initial-cluster /.test(line)) return line;
    return line.replaceAll("etcd1", member).replaceAll("192.0.2.11", address);
  }).join("\n");
}

/** What the page has of the first host, for another one. */
export function ofHost(text: string, place: Place): string {
  return text.replaceAll("kvm7", NAMES[place].host);
}
