import assert from "node:assert/strict";
import { crashSections } from "../../../../src/lockd/crash/crash_sections.ts";

const STATUS = { stored: 5, inQueues: 3, limit: 100, refused: 0, queued: 0, kept: true };

Deno.test("crashSections() tells where the journal is, and how full the store is", () => {
  const log = { status: { bytes: 4096, failed: undefined } };
  assert.deepEqual(
    crashSections({ log, store: { kept: true, status: STATUS }, guard: { drops: 2, trouble: undefined } }),
    { journal: { kind: "store", bytes: 4096 }, store: { present: true, ...STATUS, drops: 2 } },
  );
  assert.deepEqual(crashSections({ log, store: undefined, guard: undefined }), {
    journal: { kind: "file", bytes: 4096 },
    store: { present: false },
  });
});

Deno.test("crashSections() tells why the journal cannot be written and why nothing is kept", () => {
  const status = { ...STATUS, kept: false };
  assert.deepEqual(
    crashSections({
      log: { status: { bytes: 0, failed: "pwrite journal: no space" } },
      store: { kept: false, status },
      guard: { drops: 1, trouble: "the unit is masked" },
    }),
    {
      journal: { kind: "file", bytes: 0, failed: "pwrite journal: no space" },
      store: { present: true, ...status, drops: 1, reason: "the unit is masked" },
    },
  );
});
