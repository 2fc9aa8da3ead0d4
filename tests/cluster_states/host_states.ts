import { type HostState, NEW_HOST, normal } from "./host_state.ts";
import { type Others, type Rule, steps } from "./protocol.ts";

/** What a host's state means to others, and whether it is as it has to be. */
export interface Meaning {
  /** Whether etcd has a lock, or a share, of it. */
  readonly alone: boolean;
  readonly share: boolean;
  /** What its guest does to the disk. */
  readonly guest: "nothing" | "writes" | "reads";
  /** Whether something is in etcd of which nobody knows any more. */
  readonly left: boolean;
}

/** Something that may happen next. */
export interface NumberedStep {
  readonly name: string;
  readonly next: number;
  readonly robs: boolean;
}

/** What others may have; the number of one is made of two bits. */
const CONTEXTS: readonly Others[] = [false, true].flatMap((alone) =>
  [false, true].map((share) => ({ alone, share }))
);

/** More states than a host has. */
const LIMIT = 100_000;

/**
 * Every state that one host can be in, whatever others have in etcd. States that nobody can ever tell apart,
 * by what they mean and by what may happen next, are one: so the states of several hosts stay few, and none
 * is left out.
 */
export class HostStates {
  /** Number of the state in which a host begins. */
  readonly first: number;
  readonly #meanings: Meaning[] = [];
  readonly #steps: (readonly NumberedStep[])[][] = [];
  readonly #robbed: number[] = [];

  constructor(without: ReadonlySet<Rule>) {
    const all = explore(without);
    const classes = classify(all);
    for (const [index, number] of classes.entries()) {
      const state = all[index];
      if (state === undefined || number < this.#meanings.length) continue;
      this.#meanings.push(state.meaning);
      this.#steps.push(state.steps.map((each) => {
        const found = each.map(({ name, next, robs }) => ({ name, next: classes[next] ?? 0, robs }));
        // Of several ways to one state one is enough.
        return [...new Map(found.map((step) => [`${step.next} ${step.robs}`, step])).values()];
      }));
      this.#robbed.push(classes[state.robbed] ?? 0);
    }
    this.first = classes[0] ?? 0;
    this.explored = all.length;
  }

  /** How many states there are before those are put together that cannot be told apart. */
  readonly explored: number;

  get size(): number {
    return this.#meanings.length;
  }

  meaning(number: number): Meaning {
    const found = this.#meanings[number];
    if (found === undefined) throw new Error(`No host is in state ${number}`);
    return found;
  }

  /** @param others numbers of the other hosts' states */
  steps(number: number, others: readonly number[]): readonly NumberedStep[] {
    let context = 0;
    for (const other of others) {
      const { alone, share } = this.meaning(other);
      context |= (alone ? 2 : 0) | (share ? 1 : 0);
    }
    return this.#steps[number]?.[context] ?? [];
  }

  /** The same host when another one has deleted its lock. */
  robbed(number: number): number {
    return this.#robbed[number] ?? number;
  }
}

interface Explored {
  readonly meaning: Meaning;
  /** For each of {@link CONTEXTS}. */
  readonly steps: readonly (readonly NumberedStep[])[];
  readonly robbed: number;
}

function explore(without: ReadonlySet<Rule>): Explored[] {
  const numbers = new Map<string, number>();
  const states: HostState[] = [];
  const numberOf = (host: HostState): number => {
    const state = normal(host);
    const key = JSON.stringify(state);
    const known = numbers.get(key);
    if (known !== undefined) return known;
    const number = states.push(state) - 1;
    numbers.set(key, number);
    return number;
  };
  numberOf(NEW_HOST);
  const found: Explored[] = [];
  for (let index = 0; index < states.length; index++) {
    if (index > LIMIT) throw new Error(`A host has more than ${LIMIT} states`);
    const state = states[index] ?? NEW_HOST;
    found.push({
      meaning: meaningOf(state),
      steps: CONTEXTS.map((others) =>
        steps(state, others, without).map(({ name, host, robs = false }) => ({
          name,
          next: numberOf(host),
          robs,
        }))
      ),
      robbed: without.has("release-record") ? numberOf({ ...state, alone: 0 }) : index,
    });
  }
  return found;
}

function meaningOf({ alone, share, guest, shared, daemon, listed, lock }: HostState): Meaning {
  const busy = guest === "running" || guest === "landing";
  const idle = daemon === "live" && listed && guest === "none" && lock === "none";
  const over = idle || daemon === "fenced";
  const reads = shared && guest === "running";
  return {
    alone: alone !== 0,
    share: share !== 0,
    guest: busy && !shared ? "writes" : reads ? "reads" : "nothing",
    left: over && (alone !== 0 || share !== 0),
  };
}

/** Splits states into classes until those of a class have the same meaning and the same classes next. */
function classify(states: readonly Explored[]): number[] {
  let classes = numbered(states.map(({ meaning }) => JSON.stringify(meaning)));
  for (;;) {
    const next = numbered(states.map((state, index) => {
      const after = state.steps.map((each) =>
        [...new Set(each.map(({ next, robs }) => `${classes[next]}${robs ? "r" : ""}`))].sort().join()
      );
      return `${classes[index]} ${classes[state.robbed]} ${after.join(" ")}`;
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
