/** A call of a surface of system calls that fails once. */
export interface FailingCall {
  readonly call: string;
  /** Which one, from 1. */
  readonly nth: number;
  /** Positive. */
  readonly errno: number;
}

/** Counts the calls of one or more surfaces of system calls, and fails one of them. */
export class FailingCalls {
  readonly counts = new Map<string, number>();
  readonly #fault: FailingCall | undefined;
  #fired = false;

  /** @param fault undefined: none fails */
  constructor(fault: FailingCall | undefined) {
    this.#fault = fault;
  }

  /** Whether the call has come up. */
  get fired(): boolean {
    return this.#fired;
  }

  /** The same surface, with the call that fails. A descriptor is closed even where close fails. */
  around<Surface extends object>(real: Surface): Surface {
    return new Proxy(real, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target);
        if (typeof value !== "function" || typeof name !== "string") return value;
        return (...args: unknown[]) => {
          const fails = this.#count(name);
          if (!fails || name === "close") {
            const result = Reflect.apply(value, target, args);
            if (!fails) return result;
          }
          return -(this.#fault?.errno ?? 0);
        };
      },
    });
  }

  #count(name: string): boolean {
    const count = (this.counts.get(name) ?? 0) + 1;
    this.counts.set(name, count);
    const fails = this.#fault?.call === name && this.#fault.nth === count;
    this.#fired ||= fails;
    return fails;
  }
}
