import type { Log } from "../../chassis/log/log.ts";
import type { LockTable } from "../lockspace/lock_table.ts";
import { type Owner, type OwnerKey, ownerKey, ownerText } from "../lockspace/owner.ts";
import type { OwnerWatch } from "../lockspace/owner_watch.ts";

/** What this looks at. */
interface Owners {
  readonly table: Pick<LockTable, "resources">;
  readonly watch: Pick<OwnerWatch, "connections">;
  readonly log: Pick<Log, "warn">;
}

/**
 * Says which owners have no connection of their own, before libvirt's daemon takes over: it frees an owner's
 * locks when that connection ends and looks at nothing else, so that it would keep theirs for good.
 */
export function warnOfAloneOwners({ table, watch, log }: Owners): void {
  const alone = new Map<OwnerKey, { owner: Owner; names: Set<string> }>();
  for (const { name, holdings } of table.resources()) {
    for (const { owner } of holdings) {
      const key = ownerKey(owner);
      if ([...watch.connections(key)].length > 0) continue;
      const known = alone.get(key);
      if (known === undefined) alone.set(key, { owner, names: new Set([name]) });
      else known.names.add(name);
    }
  }
  for (const { owner, names } of alone.values()) {
    const locked = [...names].map((name) => `'${name}'`).join(", ");
    log.warn(
      `libvirt's daemon keeps ${locked} locked after the end of ${
        ownerText(owner)
      }, which has no connection of ` +
        "its own: suspend that guest with virsh before it is destroyed, which frees them",
    );
  }
}
