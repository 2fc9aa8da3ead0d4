// The tables of procedures in the pages about the protocol against the numbers in the sources.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AdminProcedure } from "../../src/chassis/wire/admin_protocol.ts";
import { LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import { StatusProcedure as LockStatusProcedure } from "../../src/lockd/wire/status_protocol.ts";
import { StatusProcedure as StorageStatusProcedure } from "../../src/storaged/wire/status_protocol.ts";

/** The rows of the first table in a section of a page: numbers by name. */
function documented(page: string, heading: string): Record<string, number> {
  const text = readFileSync(join(import.meta.dirname as string, "../..", page), "utf8");
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? assert.fail(heading);
  const rows = section.matchAll(/^\| (\d+) +\| ([A-Z_]+) +\|/gm);
  return Object.fromEntries([...rows].map(([, number, name]) => [name, Number(number)]));
}

for (
  const [page, heading, procedures] of [
    ["docs/protocol.md", "Lock program", LockProcedure],
    ["docs/protocol.md", "Admin program", AdminProcedure],
    ["docs/protocol.md", "Status program", LockStatusProcedure],
    ["docs/storage-protocol.md", "Status program", StorageStatusProcedure],
  ] as const
) {
  Deno.test(`${page}, ${heading}, has the procedures of the sources`, () => {
    assert.deepEqual(documented(page, heading), { ...procedures });
  });
}
