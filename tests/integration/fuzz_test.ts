import { deepStrictEqual, ok } from "node:assert/strict";
import { CoreFuzz } from "../fuzz/core_fuzz.ts";
import { DecoderFuzz } from "../fuzz/decoder_fuzz.ts";
import { LiveFuzz } from "../fuzz/live_fuzz.ts";
import { replay, SEEDS } from "../fuzz/replay.ts";
import { formatRecording, parseRecording } from "../fuzz/seed_file.ts";

// `deno task fuzz` runs longer and with other seeds.
const SEED = 20_261_121;

Deno.test("Decoders read or refuse spoilt input", () => {
  const { messages } = new DecoderFuzz().run({ seed: SEED, messages: 30_000, seconds: Infinity });
  ok(messages >= 30_000);
});

Deno.test("Server and lock table answer every spoilt message as they must, with files that fail and holders that die", () => {
  using fuzz = new CoreFuzz(SEED);
  const { messages, succeeded } = fuzz.run({ seed: SEED, messages: 12_000, seconds: Infinity });
  ok(messages >= 12_000);
  ok(succeeded > 500, `only ${succeeded} requests succeeded: hardly anything was tried`);
});

Deno.test("Daemon answers every spoilt message as it must, and nobody else notices", async () => {
  await using fuzz = await LiveFuzz.start();
  const { messages, succeeded, reExecs } = await fuzz.run({
    seed: SEED,
    messages: 40_000,
    seconds: Infinity,
  });
  ok(messages >= 40_000);
  ok(succeeded > 2_000, `only ${succeeded} requests succeeded: hardly anything was tried`);
  ok(reExecs >= 1, "there was no re-exec");
});

Deno.test("parseRecording() reads what formatRecording() wrote", () => {
  const pieces = [
    { client: 0, admin: false, bytes: Uint8Array.of(0, 0, 0, 28) },
    { client: 12, admin: true, bytes: Uint8Array.of(1, 255) },
  ];
  const text = formatRecording({ target: "live", comment: "where\nwhy", pieces });
  deepStrictEqual(text, "virtlockd fuzz input: live\n# where\n# why\n0 lock 0000001c\n12 admin 01ff\n");
  deepStrictEqual(parseRecording(text), { target: "live", comment: "where\nwhy", pieces });
});

for (const { name } of Deno.readDirSync(SEEDS)) {
  if (!name.endsWith(".txt")) continue;
  Deno.test(`Kept input ${name} does no harm any more`, () => replay(new URL(`seeds/${name}`, SEEDS)));
}
