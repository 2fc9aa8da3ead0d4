/** What the store of a unit holds and may hold, as systemctl shows it. */
export interface ShownStore {
  /** How many descriptors it may have. */
  readonly limit: number;
  /** How many it has. */
  readonly kept: number;
}

/** Arguments of systemctl that show the store of a unit. */
export function storeQuery(unit: string): string[] {
  return ["show", "--property=FileDescriptorStoreMax", "--property=NFileDescriptorStore", unit];
}

/** What that has printed; undefined when it says nothing of a store. */
export function shownStore(output: string): ShownStore | undefined {
  const limit = /^FileDescriptorStoreMax=(\d+)$/m.exec(output)?.[1];
  const kept = /^NFileDescriptorStore=(\d+)$/m.exec(output)?.[1];
  return limit === undefined || kept === undefined ? undefined : { limit: Number(limit), kept: Number(kept) };
}
