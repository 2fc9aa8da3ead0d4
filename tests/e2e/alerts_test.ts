import assert from "node:assert/strict";
import { installMissing } from "./support/debian_packages.ts";

// The alert rules for Prometheus, as its own tool judges them.

await installMissing(["prometheus"]);

const ROOT = new URL("../..", import.meta.url).pathname;

for (
  const [name, args] of [
    ["are rules", ["check", "rules", `${ROOT}conf/virtlockd-alerts.yml`]],
    ["tell what they should and when", ["test", "rules", `${ROOT}tests/fixtures/alerts_cases.yml`]],
  ] as const
) {
  Deno.test(`alert rules ${name}`, async () => {
    const { code, stdout, stderr } = await new Deno.Command("promtool", { args: [...args] }).output();
    assert.equal(code, 0, new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr));
  });
}
