import type { HostModel } from "./host_model.ts";
import { HostStates } from "./host_states.ts";
import { JointSteps } from "./joint_steps.ts";
import { orderInto } from "./numbers.ts";
import { ReachedStates } from "./reached_states.ts";
import { SeenStates } from "./seen_states.ts";

/** What was found. */
export interface SearchResult {
  /** States of one host, and how many of them can be told apart. */
  readonly explored: number;
  readonly distinct: number;
  /** States of all hosts together. */
  readonly states: number;
  /** What is wrong in the last state of the shortest way to one; undefined: nothing in any. */
  readonly wrong: string | undefined;
  /** That way, a line for each step. */
  readonly way: readonly string[];
}

/** Of hosts of any model. */
type Steps = Pick<JointSteps<unknown, string>, "range" | "take" | "name">;

/**
 * Looks at every state that some hosts can be in, the nearest first, until one is wrong. Hosts are alike, so
 * a state counts once, whichever of them is in which.
 */
export function search<Meaning, Effect extends string>(
  count: number,
  model: HostModel<object, Meaning, Effect>,
): SearchResult {
  const hosts = new HostStates(model);
  const steps = new JointSteps(count, hosts);
  const seen = new SeenStates(count, hosts.size);
  const reached = new ReachedStates(count, hosts.size);
  const now = new Int32Array(count).fill(hosts.first);
  const [after, ordered] = [new Int32Array(count), new Int32Array(count)];
  const facts = { explored: hosts.explored, distinct: hosts.size };
  seen.add(now);
  reached.push(now, 0);
  for (let index = 0; index < reached.length; index++) {
    reached.read(index, now);
    const wrong = steps.wrong(now);
    if (wrong !== undefined) {
      return { ...facts, states: seen.size, wrong, way: wayTo(reached, index, steps, count) };
    }
    for (let place = 0; place < count; place++) {
      const [first, end] = steps.range(now, place);
      for (let step = first; step < end; step++) {
        steps.take(now, place, step, after);
        orderInto(after, ordered);
        if (seen.add(ordered)) reached.push(after, index);
      }
    }
  }
  return { ...facts, states: seen.size, wrong: undefined, way: [] };
}

function wayTo(reached: ReachedStates, index: number, steps: Steps, count: number): string[] {
  const way: string[] = [];
  const [from, to, after] = [new Int32Array(count), new Int32Array(count), new Int32Array(count)];
  for (let at = index; at > 0; at = reached.before(at)) {
    reached.read(reached.before(at), from);
    reached.read(at, to);
    way.unshift(stepBetween(from, to, steps, after));
  }
  return way;
}

/** The first step from one state to another one, as it was found. */
function stepBetween(from: Int32Array, to: Int32Array, steps: Steps, after: Int32Array): string {
  for (let place = 0; place < from.length; place++) {
    const [first, end] = steps.range(from, place);
    for (let step = first; step < end; step++) {
      steps.take(from, place, step, after);
      if (after.every((state, other) => state === to[other])) return steps.name(from, place, step);
    }
  }
  throw new Error(`No step leads from ${from} to ${to}`);
}
