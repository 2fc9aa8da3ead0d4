import { invariant } from "../../base/invariant.ts";
import type { VolumeDefinition } from "../model/volume_definition.ts";
import { VolumeRows } from "../volumes/volume_rows.ts";

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

/** What a list knows a volume by. */
export interface VolumeIdentity {
  readonly name: string;
  readonly key: string;
}

/** A volume of a pool that is up, as somebody has asked for it. */
export class VolumeEntry {
  readonly name: string;
  use: VolumeUse;
  /** The change of the list that it came with. */
  readonly since: number;
  #known: VolumeDefinition | VolumeRows;

  /** @param known what it is, or the rows in which it was found */
  constructor(name: string, known: VolumeDefinition | VolumeRows, use: VolumeUse, since: number) {
    this.name = name;
    this.use = use;
    this.since = since;
    this.#known = known;
  }

  get definition(): VolumeDefinition {
    const known = this.#known;
    if (!(known instanceof VolumeRows)) return known;
    const found = known.find(this.name);
    invariant(found !== undefined, `Volume '${this.name}' is not in the rows that it was found in`);
    return found;
  }

  /** What is known of it now. */
  set definition(definition: VolumeDefinition) {
    this.#known = definition;
  }

  /** It was found again. */
  foundIn(rows: VolumeRows): void {
    this.#known = rows;
  }
}

/** A refresh of the list that has begun. */
export interface ListRefresh {
  /** The last change before it. */
  readonly mark: number;
}

/**
 * The volumes of a pool, in the order in which they were found, new ones behind them. A refresh puts a
 * complete list into the place of the one before, in one step; what was added or removed while it was read
 * stays so. What was found is kept as it came, and made an entry when somebody asks for it.
 */
export class VolumeList {
  #rows = new VolumeRows("");
  /** Of those in the rows that were asked for, and those that were added. */
  #entries = new Map<string, VolumeEntry>();
  /** In the rows, and removed since. */
  #gone = new Set<string>();
  /** Removed while a list is read. */
  readonly #removed = new Map<string, number>();
  #changes = 0;
  #refreshes = 0;

  get identities(): readonly VolumeIdentity[] {
    const all: VolumeIdentity[] = [];
    for (const name of this.#rows.names) {
      const entry = this.#entries.get(name);
      if (entry !== undefined || !this.#gone.has(name)) all.push({ name, key: this.#rows.keyOf(name) });
    }
    for (const [name, { definition }] of this.#entries) {
      if (!this.#rows.has(name)) all.push({ name, key: definition.key ?? "" });
    }
    return all;
  }

  find(name: string): VolumeEntry | undefined {
    const known = this.#entries.get(name);
    if (known !== undefined) return known;
    if (!this.#rows.has(name) || this.#gone.has(name)) return undefined;
    const entry = new VolumeEntry(name, this.#rows, UNUSED, -1);
    this.#entries.set(name, entry);
    return entry;
  }

  byKey(key: string): VolumeEntry | undefined {
    // In pools of files the key is the path.
    return this.#by(key, ({ definition }) => definition.key);
  }

  byPath(path: string): VolumeEntry | undefined {
    return this.#by(path, ({ definition }) => definition.path);
  }

  #by(wanted: string, of: (entry: VolumeEntry) => string | undefined): VolumeEntry | undefined {
    const name = wanted.slice(wanted.lastIndexOf("/") + 1);
    const known = this.#entries.get(name);
    if (known === undefined) return this.#rows.keyOf(name) === wanted ? this.find(name) : undefined;
    return of(known) === wanted ? known : undefined;
  }

  /** Adds a volume that is being made. */
  add(definition: VolumeDefinition, reserved: string): VolumeEntry {
    const { name } = definition;
    const entry = new VolumeEntry(name, definition, { kind: "made", reserved }, ++this.#changes);
    this.#entries.set(name, entry);
    return entry;
  }

  /** Removes a volume, unless another one has its name by now. */
  remove(entry: VolumeEntry): void {
    const { name } = entry;
    if (this.#entries.get(name) !== entry) return;
    this.#entries.delete(name);
    if (this.#rows.has(name)) this.#gone.add(name);
    this.#removed.set(name, ++this.#changes);
  }

  /** A list is read from now on. */
  beginRefresh(): ListRefresh {
    this.#refreshes++;
    return { mark: this.#changes };
  }

  /** @param found undefined: the list could not be read, and the old one stays */
  endRefresh({ mark }: ListRefresh, found: VolumeRows | undefined): void {
    this.#refreshes--;
    if (found !== undefined) this.#swap(mark, found);
    if (this.#refreshes === 0) this.#removed.clear();
  }

  #swap(mark: number, found: VolumeRows): void {
    const gone = new Set<string>();
    for (const [name, change] of this.#removed) {
      if (change > mark && found.has(name)) gone.add(name);
    }
    for (const [name, entry] of this.#entries) {
      if (found.has(name) && !gone.has(name)) {
        // What is being made has its definition from its maker.
        if (entry.use.kind !== "made") entry.foundIn(found);
      } else if (entry.since <= mark && entry.use.kind !== "made") {
        this.#entries.delete(name);
      }
    }
    this.#rows = found;
    this.#gone = gone;
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
