import { F_SETFD, FD_CLOEXEC } from "../../os/constants.ts";
import type { FileSys } from "../../os/sys.ts";
import { parseSlot, slotName } from "./descriptor_names.ts";
import type { ReturnedDescriptor, StoredObject } from "./recovered.ts";
import type { Slot } from "./slots.ts";

/** What the store gave back in slots, and what becomes of it. */
export class ReturnedSlots {
  readonly #sys: Pick<FileSys, "close" | "fcntl">;
  /** Descriptors by name; of one name there may be two when a message to the manager was lost. */
  readonly #returned = new Map<string, number[]>();
  /** Names that the store must forget. */
  readonly unwanted: string[] = [];
  /** Slots that are in use on. */
  readonly used: StoredObject[] = [];

  /** @param descriptors those that are in no slot are left alone */
  constructor(sys: Pick<FileSys, "close" | "fcntl">, descriptors: readonly ReturnedDescriptor[]) {
    this.#sys = sys;
    for (const { fd, name } of descriptors) {
      if (parseSlot(name) === undefined) continue;
      sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
      const same = this.#returned.get(name);
      if (same === undefined) this.#returned.set(name, [fd]);
      else same.push(fd);
    }
  }

  /**
   * The descriptor of a slot, the caller's afterwards; undefined when there is none. Of several the first
   * that is right is kept.
   *
   * @param index undefined for what has no slot
   */
  take(kind: Slot["kind"], index: number | undefined, right: (fd: number) => boolean): number | undefined {
    if (index === undefined) return undefined;
    const name = slotName({ kind, index });
    const fds = this.#returned.get(name) ?? [];
    this.#returned.delete(name);
    const chosen = fds.length === 1 ? fds[0] : fds.find(right) ?? fds[0];
    for (const fd of fds) if (fd !== chosen) this.#sys.close(fd);
    return chosen;
  }

  /** What nobody has taken, the caller's afterwards. @param wanted whether a slot is taken now */
  rest(wanted: (slot: Slot) => boolean): { readonly slot: Slot; readonly fds: readonly number[] }[] {
    const taken: { slot: Slot; fds: readonly number[] }[] = [];
    for (const [name, fds] of this.#returned) {
      const slot = parseSlot(name);
      if (slot === undefined || !wanted(slot)) continue;
      this.#returned.delete(name);
      taken.push({ slot, fds });
    }
    return taken;
  }

  /** A slot is used on. */
  keep({ kind, index }: Slot, id: number): void {
    this.used.push({ kind, index, id });
  }

  /** Closes what was in a slot, and has the store forget it. */
  drop(slot: Slot, fds: readonly number[]): void {
    for (const fd of fds) this.#sys.close(fd);
    this.forget(slot);
  }

  /** The store is to forget what was in a slot. */
  forget(slot: Slot): void {
    this.unwanted.push(slotName(slot));
  }
}
