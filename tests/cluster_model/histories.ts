import { Random } from "../support/random.ts";
import type { Chooser } from "./chooser.ts";
import { Violation } from "./guest.ts";
import { type Play, World } from "./world.ts";

/** A choice that was made: its number, of how many, and what for. */
export interface Choice {
  readonly chosen: number;
  readonly count: number;
  readonly what: string;
}

/** What became of a history. */
export interface History {
  readonly choices: readonly Choice[];
  /** Undefined when all was as it has to be. */
  readonly violation: string | undefined;
  readonly grants: number;
  readonly refusals: number;
}

/** Plays one history, whose choices are made by whoever is asked. */
export function play(how: Play, choose: (count: number, at: number) => number): History {
  const choices: Choice[] = [];
  const chooser: Chooser = {
    choose: (count, what) => {
      const chosen = choose(count, choices.length);
      choices.push({ chosen, count, what });
      return chosen;
    },
  };
  let world: World | undefined;
  try {
    world = new World(how, chooser);
    world.run();
    return { choices, violation: undefined, grants: world.grants, refusals: world.refusals };
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    return { choices, violation: error.message, grants: world?.grants ?? 0, refusals: world?.refusals ?? 0 };
  }
}

/** Plays a history of random choices. */
export function playSeed(how: Play, seed: number): History {
  const random = new Random(seed);
  return play(how, (count) => random.below(count));
}

/** Plays a history again by the numbers that were chosen; beyond their end always 0. */
export function replay(how: Play, chosen: readonly number[]): History {
  return play(how, (count, at) => Math.min(chosen[at] ?? 0, count - 1));
}
