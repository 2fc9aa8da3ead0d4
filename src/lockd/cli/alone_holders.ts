import type { ClientEntry, HolderEntry, LockEntry } from "../status/status_document.ts";

/** A holder without a connection of its own, with the paths that it has locked. */
export interface AloneHolder {
  readonly holder: HolderEntry;
  readonly paths: readonly string[];
}

/** Holders whose end libvirt's daemon would not notice: it looks at their connections only. */
export function aloneHolders(locks: readonly LockEntry[], clients: readonly ClientEntry[]): AloneHolder[] {
  const connected = new Set(
    clients.flatMap(({ owner, locks: own = 0 }) => owner !== undefined && own > 0 ? [keyOf(owner)] : []),
  );
  const alone = new Map<string, { holder: HolderEntry; paths: string[] }>();
  for (const { holders, path } of locks) {
    for (const holder of holders) {
      const key = keyOf(holder);
      if (connected.has(key)) continue;
      const known = alone.get(key);
      if (known === undefined) alone.set(key, { holder, paths: [path] });
      else known.paths.push(path);
    }
  }
  return [...alone.values()];
}

function keyOf({ pid, uuid }: Pick<HolderEntry, "pid" | "uuid">): string {
  return `${pid} ${uuid}`;
}
