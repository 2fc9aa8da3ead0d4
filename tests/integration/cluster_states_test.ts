import assert from "node:assert/strict";
import { MODELS } from "../cluster_states/models.ts";
import { THOROUGH } from "../support/thorough.ts";

// The protocol of locks in etcd, without the daemon's code: every state that it can reach.

/** How many states there are of all hosts of a model: that none is left out. */
const STATES: Readonly<Record<keyof typeof MODELS, number>> = {
  "locks": 1_043_483,
  "paused": 168_753,
  "paused-taking": 344_160,
  "paused-killed": 652_054,
  "sharers": 27_526,
  "fenced": 824_717,
  "rebooted": 46,
  "restored": 52_082,
};

for (const [name, model] of Object.entries(MODELS)) {
  Deno.test(`no state of ${model.hosts} hosts is wrong (${name}): ${model.about}`, () => {
    const { wrong, states } = model.sweep(model.hosts, []);
    assert.equal(wrong, undefined, "deno task model:cluster-states shows the way");
    assert.ok(Object.entries(STATES).some(([each, count]) => each === name && count === states), `${states}`);
  });
}

for (const [name, model] of [["locks", MODELS.locks], ["paused", MODELS.paused]] as const) {
  Deno.test(`looked at one by one there are as many states (${name})`, () => {
    const { wrong, way, states } = model.search(model.hosts, []);
    assert.equal(wrong, undefined, way.join("\n"));
    assert.equal(states, STATES[name]);
  });
}

const WRITE = /^two guests write/;
const LEFT = /^something is left in etcd/;
const RESUMED = /^a guest goes on over what another one has written/;
const SHARED = /^a guest writes to a disk that another one shares/;
const DOUBTFUL = /^a guest's own lock is not granted/;
const HIT = /^a program is run against a host that has objected/;
const OBJECTED = /^a host is fenced that has objected/;
const REFUSED = /^a guest does not go on, and may/;

/**
 * Whatever goes wrong without one of these where no daemon is killed goes wrong as well where daemons may be:
 * that is looked at in a thorough run only, as it takes half a minute of a CPU.
 */
const ONE_PAUSED = {
  // The shortest way is that its mark stays; two guests that write are a step or two behind.
  "leaving-final": LEFT,
  "mark": RESUMED,
  "mark-at-once": RESUMED,
  "mark-told": RESUMED,
  "mark-told-here": RESUMED,
  "marks-seen": RESUMED,
  "mark-heeded": RESUMED,
  "mark-again": RESUMED,
  "unmark": LEFT,
};

/** They have many states: a search takes twice the time of looking at many at once, and shows the way. */
const LARGE: readonly string[] = ["paused-killed", "fenced"];

const FOUND_WITHOUT: { readonly [Name in keyof typeof MODELS]: Readonly<Record<string, RegExp>> } = {
  "locks": {
    "acquire-epoch": LEFT,
    "acquire-absent": WRITE,
    "release-record": WRITE,
    "bump": LEFT,
    "look-up": LEFT,
    "answer-last": WRITE,
    "quiesce": WRITE,
    "start-bump": LEFT,
    "start-list": LEFT,
    "start-living": WRITE,
    "start-quiesce": WRITE,
    "no-lease": WRITE,
    "fence-session": LEFT,
    "fence-truth": WRITE,
  },
  "paused": { ...ONE_PAUSED, "unused": REFUSED, "granted-again": RESUMED },
  "paused-taking": { "ungranted-kept": REFUSED },
  "paused-killed": {
    ...ONE_PAUSED,
    "granted-ends": RESUMED,
    "granted-heirs": RESUMED,
    "granted-lost": RESUMED,
    "unused-at-once": RESUMED,
    "leaving-first": WRITE,
    "again-kept": RESUMED,
    "start-marks": LEFT,
  },
  "sharers": {
    "share-last": SHARED,
    "share-anew": SHARED,
    "share-stays": SHARED,
    "share-strange": SHARED,
    "share-closed": SHARED,
    "freed-unused": SHARED,
  },
  "fenced": {
    "as-condemned": OBJECTED,
    "look-again": HIT,
    "exit-code": WRITE,
    "killed-word": WRITE,
    "fenced-first": WRITE,
    "word-truth": WRITE,
    "new-start": WRITE,
  },
  "rebooted": { "end": LEFT, "boot": WRITE, "machine": WRITE, "container": WRITE },
  "restored": {
    "meta": WRITE,
    "closed": WRITE,
    "open-all": WRITE,
    "put": WRITE,
    "give-back": DOUBTFUL,
    "wait": DOUBTFUL,
    "try-again": DOUBTFUL,
    "recover-bump": LEFT,
  },
};

/** {@link LARGE} models are looked at so in CI anyway. */
for (const rule of THOROUGH ? Object.keys(MODELS.locks.rules) : []) {
  Deno.test(`it is noticed where all states are looked at, too (locks without ${rule})`, () => {
    assert.notEqual(MODELS.locks.sweep(2, [rule]).wrong, undefined);
  });
}

for (const [name, model] of Object.entries(MODELS)) {
  const found = Object.entries(FOUND_WITHOUT).find(([each]) => each === name)?.[1] ?? {};
  Deno.test(`every rule has an entry of what goes wrong without it (${name})`, () => {
    assert.deepEqual(Object.keys(found).toSorted(), Object.keys(model.rules).toSorted());
  });
  for (const [rule, text] of Object.entries(model.rules)) {
    if (name === "paused-killed" && Object.hasOwn(ONE_PAUSED, rule) && !THOROUGH) continue;
    Deno.test(`it is noticed with two hosts when this is left out (${name}): ${text}`, () => {
      const look = LARGE.includes(name) && !THOROUGH ? model.sweep : model.search;
      assert.match(look(2, [rule]).wrong ?? "", found[rule] ?? /^$/);
    });
  }
}
