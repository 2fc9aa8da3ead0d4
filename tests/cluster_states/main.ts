// `deno task model:cluster-states`: see docs/testing.md.
import { parseArgs } from "node:util";
import { isRule, RULES } from "./protocol.ts";
import { search } from "./search.ts";

const USAGE = `Usage: deno task model:cluster-states [OPTION]...

Looks at every state that the protocol of locks in etcd can reach: hosts that lock one disk, alone or to share it,
messages that are late or lost, daemons that are killed, hosts that lose their power and are said to be down. It ends
with the shortest way to a state in which two guests have the disk, or something is left behind.

  --hosts N       how many hosts (default 3)
  --without RULE  leaves a rule out, to see that it is noticed; "each": one after the other. There are:
${Object.entries(RULES).map(([name, text]) => `                  ${name}: ${text}`).join("\n")}`;

const { values } = parseArgs({
  options: {
    hosts: { type: "string", default: "3" },
    without: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

function main(): number {
  const { without } = values;
  const rules = without === "each" ? Object.keys(RULES) : without === undefined ? [] : [without];
  if (!rules.every(isRule)) {
    console.error(`model:cluster-states: there is no rule ${without}`);
    return 2;
  }
  const sets = rules.length === 0 ? [[]] : rules.map((rule) => [rule]);
  let failed = 0;
  for (const left of sets) {
    const begun = performance.now();
    const { explored, distinct, states, wrong, way } = search(Number(values.hosts), new Set(left));
    const took = ((performance.now() - begun) / 1000).toFixed(1);
    const what = left.length === 0 ? "" : `Without ${left.join()}: `;
    console.log(
      `${what}${states} states, of hosts with ${explored} of which ${distinct} can be told apart, in ${took} s: ` +
        (wrong ?? "no disk had two guests, and nothing was left"),
    );
    for (const line of way) console.log(`  ${line}`);
    if ((wrong === undefined) === (left.length > 0)) failed++;
  }
  return failed === 0 ? 0 : 1;
}

if (values.help) console.log(USAGE);
else Deno.exit(main());
