import assert from "node:assert/strict";

const ROOT = new URL("../../..", import.meta.url).pathname;

Deno.test("alert rules ask for metrics that there are", () => {
  const page = Deno.readTextFileSync(`${ROOT}docs/metrics.md`);
  const rules = Deno.readTextFileSync(`${ROOT}conf/virtlockd-alerts.yml`);
  const expressions = [...rules.matchAll(/^ +expr: (.*)$/gm)].map(([, text = ""]) => text);
  const names = expressions.flatMap((text) => text.match(/virtlockd_\w+/g) ?? []);
  assert.equal(expressions.length, 14);
  for (const name of names) assert.match(page, new RegExp(`^\\| \`${name}\` `, "m"));
});
