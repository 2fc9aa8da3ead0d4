import type { VolumeDefinition } from "../model/volume_definition.ts";

/** What goes on with a volume. */
export type VolumeUse =
  /** Somebody reads it: so many at once. */
  | { readonly kind: "read"; readonly readers: number }
  /** Somebody changes it: nobody else may do anything with it. */
  | { readonly kind: "changed" }
  /** It is being made, in a file of another name. */
  | { readonly kind: "made"; readonly reserved: string }
  | { readonly kind: "unused" };

const UNUSED: VolumeUse = { kind: "unused" };

/** A volume of a pool that is up. */
export interface VolumeEntry {
  definition: VolumeDefinition;
  use: VolumeUse;
  /** The change of the list that it came with. */
  readonly since: number;
}

/** A refresh of the list that has begun. */
export interface ListRefresh {
  /** The last change before it. */
  readonly mark: number;
}

/**
 * The volumes of a pool, in the order in which they were found. A refresh puts a complete list into the place
 * of the one before, in one step; what was added or removed while it was read stays so.
 */
export class VolumeList {
  #entries = new Map<string, VolumeEntry>();
  readonly #removed = new Map<string, number>();
  #changes = 0;
  #refreshes = 0;

  get entries(): readonly VolumeEntry[] {
    return [...this.#entries.values()];
  }

  find(name: string): VolumeEntry | undefined {
    return this.#entries.get(name);
  }

  byKey(key: string): VolumeEntry | undefined {
    // In pools of files the key is the path.
    const named = this.#entries.get(key.slice(key.lastIndexOf("/") + 1));
    if (named?.definition.key === key) return named;
    return this.entries.find(({ definition }) => definition.key === key);
  }

  byPath(path: string): VolumeEntry | undefined {
    const named = this.#entries.get(path.slice(path.lastIndexOf("/") + 1));
    if (named?.definition.path === path) return named;
    return this.entries.find(({ definition }) => definition.path === path);
  }

  /** Adds a volume that is being made. */
  add(definition: VolumeDefinition, reserved: string): VolumeEntry {
    const entry: VolumeEntry = { definition, use: { kind: "made", reserved }, since: ++this.#changes };
    this.#entries.set(definition.name, entry);
    return entry;
  }

  /** Removes a volume, unless another one has its name by now. */
  remove(entry: VolumeEntry): void {
    const { name } = entry.definition;
    if (this.#entries.get(name) !== entry) return;
    this.#entries.delete(name);
    this.#removed.set(name, ++this.#changes);
  }

  /** A list is read from now on. */
  beginRefresh(): ListRefresh {
    this.#refreshes++;
    return { mark: this.#changes };
  }

  /** @param found undefined: the list could not be read, and the old one stays */
  endRefresh({ mark }: ListRefresh, found: readonly VolumeDefinition[] | undefined): void {
    this.#refreshes--;
    if (found !== undefined) this.#swap(mark, found);
    if (this.#refreshes === 0) this.#removed.clear();
  }

  #swap(mark: number, found: readonly VolumeDefinition[]): void {
    const entries = new Map<string, VolumeEntry>();
    for (const definition of found) {
      const { name } = definition;
      if ((this.#removed.get(name) ?? -1) > mark) continue;
      const known = this.#entries.get(name);
      if (known === undefined) {
        entries.set(name, { definition, use: UNUSED, since: mark });
      } else {
        // What is being made has its definition from its maker.
        if (known.use.kind !== "made") known.definition = definition;
        entries.set(name, known);
      }
    }
    for (const [name, entry] of this.#entries) {
      if (!entries.has(name) && (entry.since > mark || entry.use.kind === "made")) entries.set(name, entry);
    }
    this.#entries = entries;
  }
}

/** One more reads a volume. @returns what is to be called once when it has ended */
export function beginReading(entry: VolumeEntry): () => void {
  const readers = entry.use.kind === "read" ? entry.use.readers : 0;
  entry.use = { kind: "read", readers: readers + 1 };
  return () => {
    const left = entry.use.kind === "read" ? entry.use.readers - 1 : 0;
    entry.use = left > 0 ? { kind: "read", readers: left } : UNUSED;
  };
}

/** Somebody changes a volume. @returns what is to be called once when it has ended */
export function beginChange(entry: VolumeEntry): () => void {
  entry.use = { kind: "changed" };
  return () => void (entry.use = UNUSED);
}
