/** A guest as far as its locks are concerned. */
export interface Grantee {
  readonly name: string;
  /** Whether its process has not ended. */
  readonly running: boolean;
}

/**
 * What guests believe to have: from the answer that grants a lock until right before the guest is killed or
 * gives it back. Two who believe to have one disk at the same time are a violation, whether they write or
 * not.
 */
export class Grants {
  readonly #held = new Map<number, Map<Grantee, "shared" | "alone">>();

  /**
   * A guest was granted a disk.
   *
   * @returns who believes to have it too, against the rules; undefined: nobody
   */
  granted(disk: number, guest: Grantee, mode: "shared" | "alone"): Grantee | undefined {
    const holders = this.#held.get(disk) ?? new Map<Grantee, "shared" | "alone">();
    this.#held.set(disk, holders);
    const [other] = [...holders].filter(([holder, how]) =>
      holder !== guest && (mode === "alone" || how === "alone") && holder.running
    );
    holders.set(guest, mode);
    return other?.[0];
  }

  /** A guest is about to be killed, or to give a disk back. */
  gone(guest: Grantee, disk?: number): void {
    for (const [held, holders] of this.#held) {
      if (disk === undefined || disk === held) holders.delete(guest);
    }
  }
}
