/** What the state of a host that locks a disk, alone or to share it, means to others. */
export interface DiskUse {
  /** Whether etcd has a lock, or a share, of it. */
  readonly alone: boolean;
  readonly share: boolean;
  /** What its guests do to the disk. */
  readonly guests: "nothing" | "write" | "read";
  /** Whether something is in etcd of which nobody knows any more. */
  readonly left: boolean;
}

/** Two guests have one disk, or etcd has something of a host that has nothing to do any more. */
export function wrongUse(all: readonly DiskUse[]): string | undefined {
  const writers = all.filter(({ guests }) => guests === "write").length;
  if (writers > 1) return "two guests write to one disk";
  if (writers === 1 && all.some(({ guests }) => guests === "read")) {
    return "a guest writes to a disk that another one shares";
  }
  const left = all.findIndex((each) => each.left);
  return left < 0 ? undefined : `something is left in etcd of host ${left + 1}`;
}

/** What others can have in etcd, as one of four numbers, and back. */
export const DISK_CONTEXTS = 4;

export function contextOf(others: readonly DiskUse[]): number {
  return (others.some(({ alone }) => alone) ? 2 : 0) + (others.some(({ share }) => share) ? 1 : 0);
}

export function inContext(context: number): { readonly alone: boolean; readonly share: boolean } {
  return { alone: context >= 2, share: context % 2 === 1 };
}
