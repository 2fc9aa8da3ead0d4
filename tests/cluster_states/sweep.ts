import type { HostModel } from "./host_model.ts";
import { HostStates } from "./host_states.ts";
import { JointSteps } from "./joint_steps.ts";
import { StateRows } from "./state_rows.ts";

/** What was found. */
export interface SweepResult {
  /** States of one host, and how many of them can be told apart. */
  readonly explored: number;
  readonly distinct: number;
  /** States of all hosts together; when something is wrong, those that had been reached by then. */
  readonly states: number;
  /** What is wrong in some state, not in the nearest one; undefined: nothing in any. */
  readonly wrong: string | undefined;
}

/**
 * Looks at every state that some hosts can be in, as search.ts does, but at many at once: at those that
 * differ by the last host's state alone. It takes far less memory and time, but knows no way to what is
 * wrong.
 */
export function sweep<Meaning, Effect extends string>(
  count: number,
  model: HostModel<object, Meaning, Effect>,
): SweepResult {
  const hosts = new HostStates(model);
  const rows = new StateRows(count, hosts.size);
  const wrong = new Sweep(count, new JointSteps(count, hosts), rows).run(hosts.first);
  return { explored: hosts.explored, distinct: hosts.size, states: rows.states, wrong };
}

/** Steps of hosts of any model. */
type Steps = Pick<JointSteps<unknown, string>, "range" | "take" | "touched" | "wrong" | "meanings">;

/** States of a host that mean the same: they are the same to whatever others do. */
interface Kind {
  readonly bits: Uint32Array;
  /** One of them. */
  readonly state: number;
}

class Sweep {
  readonly #steps: Steps;
  readonly #rows: StateRows;
  readonly #last: number;
  readonly #kinds: readonly Kind[];
  /** States of all hosts, and behind a step. */
  readonly #all: Int32Array;
  readonly #after: Int32Array;
  /** States of the last host that are looked at; those that let another do the same; what these become. */
  readonly #now: Uint32Array;
  readonly #some: Uint32Array;
  readonly #behind: Uint32Array;
  readonly #todo: number[] = [];

  constructor(count: number, steps: Steps, rows: StateRows) {
    this.#steps = steps;
    this.#rows = rows;
    this.#last = count - 1;
    this.#kinds = kindsOf(steps.meanings, rows.words);
    [this.#all, this.#after] = [new Int32Array(count), new Int32Array(count)];
    const bits = () => new Uint32Array(rows.words);
    [this.#now, this.#some, this.#behind] = [bits(), bits(), bits()];
  }

  /** @returns what is wrong */
  run(first: number): string | undefined {
    this.#rows.add(this.#all.fill(first));
    while (this.#rows.take(this.#all, this.#now)) {
      this.#moveLast();
      const kinds = this.#kinds.filter(({ bits }) => overlap(bits, this.#now));
      for (const { state } of kinds) {
        this.#all[this.#last] = state;
        const wrong = this.#steps.wrong(this.#all);
        if (wrong !== undefined) return wrong;
      }
      for (let place = 0; place < this.#last; place++) this.#moveOther(place, kinds);
    }
    return undefined;
  }

  /** What a host does that is not the last one, for all states of that one which let it do the same. */
  #moveOther(place: number, kinds: readonly Kind[]): void {
    const groups = new Map<number, Kind[]>();
    for (const kind of kinds) {
      this.#all[this.#last] = kind.state;
      const [begin] = this.#steps.range(this.#all, place);
      groups.set(begin, [...groups.get(begin) ?? [], kind]);
    }
    for (const alike of groups.values()) {
      this.#all[this.#last] = alike[0]?.state ?? 0;
      this.#some.fill(0);
      for (const { bits } of alike) {
        for (let word = 0; word < bits.length; word++) {
          this.#some[word] = (this.#some[word] ?? 0) | ((bits[word] ?? 0) & (this.#now[word] ?? 0));
        }
      }
      const [begin, end] = this.#steps.range(this.#all, place);
      for (let step = begin; step < end; step++) {
        this.#steps.take(this.#all, place, step, this.#after);
        const touched = this.#steps.touched(step);
        if (touched !== undefined) mapped(this.#some, touched, this.#behind);
        this.#rows.addAll(this.#after, touched === undefined ? this.#some : this.#behind);
      }
    }
  }

  /** What the last host does, and does next where that changes none of the others. */
  #moveLast(): void {
    const todo = this.#todo;
    for (let word = 0; word < this.#now.length; word++) {
      for (let left = this.#now[word] ?? 0; left !== 0; left &= left - 1) todo.push(32 * word + lowest(left));
    }
    for (let state = todo.pop(); state !== undefined; state = todo.pop()) {
      this.#all[this.#last] = state;
      const [begin, end] = this.#steps.range(this.#all, this.#last);
      for (let step = begin; step < end; step++) {
        this.#steps.take(this.#all, this.#last, step, this.#after);
        const next = this.#after[this.#last] ?? 0;
        if (this.#steps.touched(step) !== undefined) this.#rows.add(this.#after);
        else if (this.#rows.join(next)) {
          this.#now[next >>> 5] = (this.#now[next >>> 5] ?? 0) | (1 << (next & 31));
          todo.push(next);
        }
      }
    }
  }
}

function kindsOf(meanings: Uint16Array, words: number): Kind[] {
  const kinds = new Map<number, Kind>();
  for (const [state, meaning] of meanings.entries()) {
    const kind = kinds.get(meaning) ?? { bits: new Uint32Array(words), state };
    kinds.set(meaning, kind);
    kind.bits[state >>> 5] = (kind.bits[state >>> 5] ?? 0) | (1 << (state & 31));
  }
  return [...kinds.values()];
}

function overlap(one: Uint32Array, other: Uint32Array): boolean {
  for (let word = 0; word < one.length; word++) {
    if (((one[word] ?? 0) & (other[word] ?? 0)) !== 0) return true;
  }
  return false;
}

/** Writes down where each state goes. */
function mapped(bits: Uint32Array, to: Uint16Array, into: Uint32Array): void {
  into.fill(0);
  for (let word = 0; word < bits.length; word++) {
    for (let left = bits[word] ?? 0; left !== 0; left &= left - 1) {
      const state = to[32 * word + lowest(left)] ?? 0;
      into[state >>> 5] = (into[state >>> 5] ?? 0) | (1 << (state & 31));
    }
  }
}

/** Number of the lowest bit that is set. */
function lowest(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
