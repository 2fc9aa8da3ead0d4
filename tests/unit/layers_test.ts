import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Lowest first: a file may import from its own folder and from those before it. */
const LAYERS = [
  "os",
  "wire",
  "config",
  "log",
  "event",
  "lockspace",
  "storage",
  "rpc",
  "systemd",
  "journal",
  "programs",
  "restart",
  "daemon",
  "cli",
];
const SOURCE = join(import.meta.dirname as string, "../../src");

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/from "(\.\.\/[^"]+)"/g)].map(([, path]) => path as string);
}

Deno.test("src/ has only the folders that docs/architecture.md describes", () => {
  assert.deepEqual(readdirSync(SOURCE).sort(), [...LAYERS].sort());
});

for (const [level, layer] of LAYERS.entries()) {
  Deno.test(`src/${layer} imports only from layers below it`, () => {
    const upward: string[] = [];
    for (const entry of readdirSync(join(SOURCE, layer), { recursive: true, encoding: "utf8" })) {
      if (!entry.endsWith(".ts")) continue;
      for (const path of importsOf(join(SOURCE, layer, entry))) {
        const target = LAYERS.indexOf(path.replace(/^(\.\.\/)+/, "").split("/")[0] as string);
        if (target > level) upward.push(`${entry} imports ${path}`);
      }
    }
    assert.deepEqual(upward, []);
  });
}
