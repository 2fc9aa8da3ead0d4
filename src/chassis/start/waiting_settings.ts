/** A setting that a running daemon does not take over, by what people call it: the key of the file. */
export interface Waits {
  readonly waits: string;
}

/**
 * What becomes of each setting when the configuration is read again: what takes it over, `logging` for what
 * is decided on together with the environment and the command line, and what waits for another image. One
 * that is missing does not compile: it would silently wait for the next start.
 */
export type Applied<S> = Readonly<Record<keyof S, ((settings: S) => void) | "logging" | Waits>>;

/** Which settings of a file that was read again wait, and how they come into use. */
export class WaitingSettings<S extends object> {
  readonly #inUse: S;
  readonly #remedy: string;
  /** Those of the file when it was read last. */
  #read: S;

  /**
   * @param inUse what the daemon began with
   * @param remedy what people do to have all of it taken over: a whole sentence
   */
  constructor(inUse: S, remedy: string) {
    this.#inUse = inUse;
    this.#read = inUse;
    this.#remedy = remedy;
  }

  /**
   * What is to be said of settings that were read again; undefined when none waits, and when the same was
   * said before: log files are rotated with the same signal.
   */
  news(applied: Applied<S>, settings: S): string | undefined {
    const names: string[] = [];
    let changed = false;
    for (const key of Object.keys(applied) as (keyof S)[]) {
      const effect = applied[key];
      if (typeof effect !== "object") continue;
      changed ||= !isSame(settings[key], this.#read[key]);
      if (!isSame(settings[key], this.#inUse[key])) names.push(effect.waits);
    }
    this.#read = settings;
    if (!changed || names.length === 0) return undefined;
    return `Changed in the configuration, and not taken over by SIGHUP: ${names.join(", ")}. ${this.#remedy}`;
  }
}

/** Whether two values of a setting are the same, lists and maps by what is in them. */
function isSame(one: unknown, other: unknown): boolean {
  return one === other || textOf(one) === textOf(other);
}

function textOf(value: unknown): string {
  return JSON.stringify(value instanceof Map ? [...value] : [value]);
}
