/** Something that may happen next to a host. */
export interface Step<State, Effect extends string> {
  readonly name: string;
  readonly host: State;
  /** What it does to every other host. */
  readonly others?: readonly Effect[];
}

/**
 * One of the hosts that have something in one etcd, by itself: everything that may happen to it, whatever the
 * others do meanwhile. Hosts are alike.
 */
export interface HostModel<State, Meaning, Effect extends string> {
  /** In which a host begins. */
  readonly first: State;
  readonly effects: readonly Effect[];
  /** How many different things others can have in etcd that make a difference to a host. */
  readonly contexts: number;
  /** The same state, written in one way only. */
  normal(state: State): State;
  /** @param context number of what others have */
  steps(state: State, context: number): readonly Step<State, Effect>[];
  /** What a state means to others, and to whoever judges. */
  meaning(state: State): Meaning;
  /** The number of what others have, by what their states mean. */
  context(others: readonly Meaning[]): number;
  /** The state after another host has done something. */
  touched(state: State, effect: Effect): State;
  /** What must not be; undefined: all is well. */
  wrong(all: readonly Meaning[]): string | undefined;
}

/** Rules of a model that are left out, to see that it is noticed. */
export interface Without<Rule extends string> {
  has(rule: Rule): boolean;
}
