import type { HostStates } from "./host_states.ts";

/** Not looked up yet. */
const UNKNOWN = -1;

/**
 * What may happen next to all hosts together, by numbers alone: an object for each step would take far longer
 * where there are many millions of states.
 */
export class JointSteps<Meaning, Effect extends string> {
  readonly #count: number;
  readonly #states: HostStates<Meaning, Effect>;
  readonly #contexts: number;
  /** Where the steps of a state in a context begin: at `state * contexts + context`. */
  readonly #starts: Uint32Array;
  /** For each step: the state after it, and what it does to others, as an index of {@link #touched}. */
  readonly #next: Uint16Array;
  readonly #does: Uint16Array;
  /** For each list of effects of a step, the state of every other host afterwards. The first is empty. */
  readonly #touched: readonly Uint16Array[];
  /** For each state the number of what it means, and how many such numbers there are. */
  readonly #meanings: Uint16Array;
  readonly #kinds: number;
  /** By the meanings of all others, the context that they make; and whether all is well, by those of all. */
  readonly #contextOf: Int16Array;
  readonly #wrongOf: (string | undefined)[] = [];
  readonly #isJudged: Uint8Array;

  /** @param count how many hosts */
  constructor(count: number, states: HostStates<Meaning, Effect>) {
    this.#count = count;
    this.#states = states;
    this.#contexts = states.contexts;
    const kinds = new Map<string, number>();
    const numbers = Array.from({ length: states.size }, (_, number) => number);
    this.#meanings = Uint16Array.from(
      numbers,
      (each) => numberIn(kinds, JSON.stringify(states.meaning(each))),
    );
    this.#kinds = kinds.size;
    this.#contextOf = new Int16Array(kinds.size ** (count - 1)).fill(UNKNOWN);
    this.#isJudged = new Uint8Array(kinds.size ** count);
    const starts = [0];
    const next: number[] = [];
    const does: number[] = [];
    const lists = new Map([["", 0]]);
    const touched = [Uint16Array.from(numbers)];
    for (const number of numbers) {
      for (let context = 0; context < this.#contexts; context++) {
        for (const step of states.steps(number, context)) {
          next.push(step.next);
          const list = numberIn(lists, step.others.join());
          does.push(list);
          touched[list] ??= Uint16Array.from(numbers, (each) => states.touched(each, step.others));
        }
        starts.push(next.length);
      }
    }
    this.#starts = Uint32Array.from(starts);
    this.#next = Uint16Array.from(next);
    this.#does = Uint16Array.from(does);
    this.#touched = touched;
  }

  /** Number of the first step that a host can do, and of the one behind the last. */
  range(all: Int32Array, place: number): readonly [number, number] {
    const at = (all[place] ?? 0) * this.#contexts + this.#context(all, place);
    return [this.#starts[at] ?? 0, this.#starts[at + 1] ?? 0];
  }

  /** Writes down the states of all hosts when the one at a place has done a step. */
  take(all: Int32Array, place: number, step: number, after: Int32Array): void {
    const touched = this.#touched[this.#does[step] ?? 0];
    for (let other = 0; other < this.#count; other++) after[other] = touched?.[all[other] ?? 0] ?? 0;
    after[place] = this.#next[step] ?? 0;
  }

  /** The state of every other host behind a step, by its state before; undefined: as it was. */
  touched(step: number): Uint16Array | undefined {
    const list = this.#does[step] ?? 0;
    return list === 0 ? undefined : this.#touched[list];
  }

  /** For each state the number of what it means: states that mean the same are the same to all others. */
  get meanings(): Uint16Array {
    return this.#meanings;
  }

  /** What a step of the host at a place is. */
  name(all: Int32Array, place: number, step: number): string {
    const [first] = this.range(all, place);
    const found = this.#states.steps(all[place] ?? 0, this.#context(all, place))[step - first];
    return `host ${place + 1}: ${found?.name}`;
  }

  /** What must not be; undefined: all is well. */
  wrong(all: Int32Array): string | undefined {
    const number = this.#meaning(all, this.#count);
    if (this.#isJudged[number] === 0) {
      this.#isJudged[number] = 1;
      this.#wrongOf[number] = this.#states.wrong([...all]);
    }
    return this.#wrongOf[number];
  }

  #context(all: Int32Array, place: number): number {
    const number = this.#meaning(all, place);
    const known = this.#contextOf[number] ?? UNKNOWN;
    if (known !== UNKNOWN) return known;
    return this.#contextOf[number] = this.#states.context([...all].toSpliced(place, 1));
  }

  /** One number for what the states of all mean, but for that of one. */
  #meaning(all: Int32Array, without: number): number {
    let number = 0;
    for (let place = 0; place < this.#count; place++) {
      if (place !== without) number = number * this.#kinds + (this.#meanings[all[place] ?? 0] ?? 0);
    }
    return number;
  }
}

function numberIn(numbers: Map<string, number>, text: string): number {
  const number = numbers.get(text) ?? numbers.size;
  numbers.set(text, number);
  return number;
}
