import type { Answer, Question } from "../../../etcd/wire/link_messages.ts";
import { CommandError } from "../../../chassis/cli/command.ts";
import type { EtcdLink } from "./etcd_link.ts";

/** How a link with etcd is begun anew, and the time without one. */
export interface LastingLinkParts {
  /** @throws CommandError */
  readonly open: () => Pick<EtcdLink, "ask" | keyof Disposable>;
  readonly pause: (milliseconds: number) => void;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
}

/**
 * A link with etcd for a process that has something to say after minutes: one that has ended meanwhile, as
 * when its package was upgraded, is begun anew for the next question. The question that it has ended with is
 * not asked again, for nobody knows what became of it.
 */
export class LastingLink implements Disposable {
  readonly #parts: LastingLinkParts;
  #link: ReturnType<LastingLinkParts["open"]> | undefined;

  constructor(parts: LastingLinkParts) {
    this.#parts = parts;
  }

  /** See {@link EtcdLink.ask}. @throws CommandError */
  ask(question: Question, limitMs: number): Answer {
    this.#link ??= this.#parts.open();
    try {
      return this.#link.ask(question, limitMs);
    } catch (error) {
      if (error instanceof CommandError) this[Symbol.dispose]();
      throw error;
    }
  }

  /** Waits. */
  pause(milliseconds: number): void {
    this.#parts.pause(milliseconds);
  }

  /** Monotonic milliseconds. */
  get now(): number {
    return this.#parts.clock();
  }

  [Symbol.dispose](): void {
    this.#link?.[Symbol.dispose]();
    this.#link = undefined;
  }
}
