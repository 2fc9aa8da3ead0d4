// `deno task model:cluster-states`: see docs/testing.md.
import { parseArgs } from "node:util";
import { MODELS, type NamedModel } from "./models.ts";
import type { SearchResult } from "./search.ts";

const USAGE = `Usage: deno task model:cluster-states [OPTION]...

Looks at every state that the protocol of locks in etcd can reach, with messages that are late or lost and daemons that
are killed. It ends with the shortest way to a state in which two guests have the disk, something is left behind, or a
guest goes on that must not, or does not that may.

  --model NAME    which part of the protocol (default locks; "each": one after the other)
  --hosts N       how many hosts (default: as many as each model has by itself)
  --without RULE  leaves a rule out, to see that it is noticed; "each": one after the other. The models and their rules:

${
  Object.entries(MODELS).map(([name, { about, hosts, rules }]) =>
    [
      `  ${name}: ${about}; ${hosts} hosts`,
      ...Object.entries(rules).map(([rule, text]) => `    ${rule}: ${text}`),
    ]
      .join("\n")
  ).join("\n\n")
}`;

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "locks" },
    hosts: { type: "string" },
    without: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

function main(): number {
  const { model: name, hosts, without } = values;
  const chosen = Object.entries(MODELS).filter(([each]) => name === "each" || name === each);
  if (chosen.length === 0) {
    console.error(`model:cluster-states: there is no model ${name}`);
    return 2;
  }
  let failed = 0;
  for (const [each, model] of chosen) {
    const rules = without === "each" ? Object.keys(model.rules) : without === undefined ? [] : [without];
    if (!rules.every((rule) => Object.hasOwn(model.rules, rule))) {
      console.error(`model:cluster-states: ${each} has no rule ${without}`);
      return 2;
    }
    const sets = rules.length === 0 ? [[]] : rules.map((rule) => [rule]);
    for (const left of sets) {
      if (!told(each, model, Number(hosts ?? model.hosts), left)) failed++;
    }
  }
  return failed === 0 ? 0 : 1;
}

/** @returns whether it is as it has to be: something goes wrong where a rule is left out, and only then */
function told(name: string, model: NamedModel, hosts: number, left: readonly string[]): boolean {
  const begun = performance.now();
  const { explored, distinct, states, wrong, way } = looked(model, hosts, left);
  const took = ((performance.now() - begun) / 1000).toFixed(1);
  const what = left.length === 0 ? name : `${name} without ${left.join()}`;
  console.log(
    `${what}: ${states} states of ${hosts} hosts, of which each has ${explored}, and ${distinct} that can be told ` +
      `apart, in ${took} s: ${wrong ?? "all is well"}`,
  );
  for (const line of way) console.log(`  ${line}`);
  return (wrong === undefined) === (left.length === 0);
}

function looked(model: NamedModel, hosts: number, left: readonly string[]): SearchResult {
  if (left.length === 0) {
    const all = model.sweep(hosts, []);
    if (all.wrong === undefined) return { ...all, way: [] };
  }
  // The shortest way to what is wrong takes a search of its own.
  return model.search(hosts, left);
}

if (values.help) console.log(USAGE);
else Deno.exit(main());
