import type { HostModel } from "./host_model.ts";

/** Something that may happen next. */
export interface NumberedStep<Effect> {
  readonly name: string;
  readonly next: number;
  readonly others: readonly Effect[];
}

/** More states than a host has. */
const LIMIT = 500_000;

/**
 * Every state that one host can be in, whatever others have in etcd. States that nobody can ever tell apart,
 * by what they mean and by what may happen next, are one: so the states of several hosts stay few, and none
 * is left out.
 */
export class HostStates<Meaning, Effect extends string> {
  /** Number of the state in which a host begins. */
  readonly first: number;
  /** How many states there are before those are put together that cannot be told apart. */
  readonly explored: number;
  /** How many different things others can have in etcd. */
  readonly contexts: number;
  readonly #context: (others: readonly Meaning[]) => number;
  readonly #wrong: (all: readonly Meaning[]) => string | undefined;
  readonly #effects: readonly Effect[];
  readonly #meanings: Meaning[] = [];
  readonly #steps: (readonly NumberedStep<Effect>[])[][] = [];
  /** For each effect. */
  readonly #touched: (readonly number[])[] = [];

  constructor(model: HostModel<object, Meaning, Effect>) {
    this.#context = (others) => model.context(others);
    this.#wrong = (all) => model.wrong(all);
    this.contexts = model.contexts;
    this.#effects = model.effects;
    const all = explore(model);
    const classes = classify(all);
    for (const [index, number] of classes.entries()) {
      const state = all[index];
      if (state === undefined || number < this.#meanings.length) continue;
      this.#meanings.push(state.meaning);
      this.#steps.push(state.steps.map((each) => {
        const found = each.map((step) => ({ ...step, next: classes[step.next] ?? 0 }));
        // Of several ways to one state one is enough.
        return [...new Map(found.map((step) => [`${step.next} ${step.others}`, step])).values()];
      }));
      this.#touched.push(state.touched.map((next) => classes[next] ?? 0));
    }
    this.first = classes[0] ?? 0;
    this.explored = all.length;
  }

  get size(): number {
    return this.#meanings.length;
  }

  meaning(number: number): Meaning {
    const found = this.#meanings[number];
    if (found === undefined) throw new Error(`No host is in state ${number}`);
    return found;
  }

  /** @param context number of what others have: see {@link context} */
  steps(number: number, context: number): readonly NumberedStep<Effect>[] {
    return this.#steps[number]?.[context] ?? [];
  }

  /** The number of what others have. @param others numbers of their states */
  context(others: readonly number[]): number {
    return this.#context(others.map((other) => this.meaning(other)));
  }

  /** What must not be; undefined: all is well. @param all numbers of the hosts' states */
  wrong(all: readonly number[]): string | undefined {
    return this.#wrong(all.map((each) => this.meaning(each)));
  }

  /** The same host when another one has done something. */
  touched(number: number, effects: readonly Effect[]): number {
    return effects.reduce(
      (state, effect) => this.#touched[state]?.[this.#effects.indexOf(effect)] ?? state,
      number,
    );
  }
}

interface Explored<Meaning, Effect> {
  readonly meaning: Meaning;
  /** For each context. */
  readonly steps: readonly (readonly NumberedStep<Effect>[])[];
  /** For each effect. */
  readonly touched: readonly number[];
}

function explore<Meaning, Effect extends string>(
  model: HostModel<object, Meaning, Effect>,
): Explored<Meaning, Effect>[] {
  const numbers = new Map<string, number>();
  const states: object[] = [];
  const numberOf = (host: object): number => {
    const state = model.normal(host);
    const key = JSON.stringify(state);
    const known = numbers.get(key);
    if (known !== undefined) return known;
    const number = states.push(state) - 1;
    numbers.set(key, number);
    return number;
  };
  numberOf(model.first);
  const contexts = Array.from({ length: model.contexts }, (_, context) => context);
  const found: Explored<Meaning, Effect>[] = [];
  for (let index = 0; index < states.length; index++) {
    if (index > LIMIT) throw new Error(`A host has more than ${LIMIT} states`);
    const state = states[index] ?? model.first;
    found.push({
      meaning: model.meaning(state),
      steps: contexts.map((context) =>
        model.steps(state, context).map(({ name, host, others = [] }) => ({
          name,
          next: numberOf(host),
          others,
        }))
      ),
      touched: model.effects.map((effect) => numberOf(model.touched(state, effect))),
    });
  }
  return found;
}

/** Splits states into classes until those of a class have the same meaning and the same classes next. */
function classify(states: readonly Explored<unknown, string>[]): number[] {
  let classes = numbered(states.map(({ meaning }) => JSON.stringify(meaning)));
  for (;;) {
    const next = numbered(states.map((state, index) => {
      const after = state.steps.map((each) =>
        [...new Set(each.map(({ next, others }) => `${classes[next]}${others}`))].sort().join()
      );
      const touched = state.touched.map((each) => classes[each]);
      return `${classes[index]} ${touched} ${after.join(" ")}`;
    }));
    if (Math.max(...next) === Math.max(...classes)) return next;
    classes = next;
  }
}

function numbered(texts: readonly string[]): number[] {
  const numbers = new Map<string, number>();
  return texts.map((text) => {
    const number = numbers.get(text) ?? numbers.size;
    numbers.set(text, number);
    return number;
  });
}
