/** Name of the journal's memory in the store. */
export const JOURNAL_NAME = "journal";

/** Name of a lock's descriptor in the store. */
export function lockName(id: number): string {
  return `lock-${id}`;
}

/** Name of a client's socket in the store. */
export function clientName(server: string, id: number): string {
  return `client-${server}-${id}`;
}

/** Name of the pidfd of a holder that is being ended, in the store. */
export function dyingName(pid: number): string {
  return `dying-${pid}`;
}

/** What a stored descriptor is, by its name. */
export type StoredDescriptor =
  | { readonly kind: "journal" }
  | { readonly kind: "lock"; readonly id: number }
  | { readonly kind: "client"; readonly server: string; readonly id: number }
  | { readonly kind: "dying"; readonly pid: number };

/** Reads a name; undefined when it is none of ours. */
export function parseName(name: string): StoredDescriptor | undefined {
  if (name === JOURNAL_NAME) return { kind: "journal" };
  const [, kind, server, number] = /^(lock|dying|client)-(?:([a-z]+)-)?(\d{1,15})$/.exec(name) ?? [];
  const id = Number(number);
  switch (kind) {
    case "lock":
      return server === undefined ? { kind, id } : undefined;
    case "dying":
      return server === undefined ? { kind, pid: id } : undefined;
    case "client":
      return server === undefined ? undefined : { kind, server, id };
    default:
      return undefined;
  }
}
