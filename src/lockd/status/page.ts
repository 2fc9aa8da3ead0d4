import type { Page } from "../wire/status_protocol.ts";

/**
 * Most entries on a page: making one takes the daemon a millisecond or two, and nobody else is served
 * meanwhile.
 */
const PAGE_ENTRIES = 500;
/** A page ends after the entry that brings it over so many characters. */
const PAGE_CHARACTERS = 256 * 1024;

/** How many entries a page may have that was asked for with this limit. */
export function pageLimit(limit: number): number {
  return limit === 0 ? PAGE_ENTRIES : Math.min(limit, PAGE_ENTRIES);
}

/**
 * The things with the lowest ids above a given one, in their order. Whatever comes and goes between two
 * pages, what stays is listed exactly once.
 *
 * @param things in any order
 * @param after 0 for the first page
 */
export function nextById<T>(
  things: Iterable<T>,
  idOf: (thing: T) => number,
  after: number,
  limit: number,
): T[] {
  const byId = (a: T, b: T) => idOf(a) - idOf(b);
  const found: T[] = [];
  let bound = Infinity;
  for (const thing of things) {
    const id = idOf(thing);
    if (id <= after || id >= bound) continue;
    found.push(thing);
    // Cut back from time to time, so that tens of thousands need not be sorted for a page of hundreds.
    if (found.length >= 2 * limit) {
      found.sort(byId).length = limit;
      bound = idOf(found[limit - 1] as T);
    }
  }
  return found.sort(byId).slice(0, limit);
}

/** Puts entries on a page, as many as have room. */
export class PageBuilder {
  readonly #entries: string[] = [];
  #characters = 0;
  #next = "";

  /** Whether the page is full; then what is left is for the next. */
  get full(): boolean {
    return this.#characters > PAGE_CHARACTERS || this.#entries.length >= PAGE_ENTRIES;
  }

  /**
   * Adds an entry.
   *
   * @param cursor where to go on after it
   */
  add(entry: unknown, cursor: string): void {
    const text = JSON.stringify(entry);
    this.#entries.push(text);
    this.#characters += text.length;
    this.#next = cursor;
  }

  /** The page. @param more whether anything is left */
  page(more: boolean): Page {
    return { json: `[${this.#entries.join(",")}]`, next: more ? this.#next : "" };
  }
}
