// What users read, or their shells, beside the code that it describes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS } from "../../src/chassis/config/options.ts";
import { SETTING_KEYS } from "../../src/chassis/config/settings.ts";
import { tallyLocks } from "../../src/lockd/daemon/lock_tally.ts";
import { Metrics } from "../../src/lockd/daemon/metrics.ts";
import { metricsText } from "../../src/lockd/daemon/metrics_text.ts";
import type { StatusDocument } from "../../src/lockd/status/status_document.ts";
import { STATUS } from "./lockd/cli/cli_fixture.ts";

const ROOT = join(import.meta.dirname as string, "../..");

function text(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** A daemon in which every part that may be absent is there. */
const EVERYTHING: StatusDocument = {
  ...STATUS,
  sections: {
    storage: {},
    journal: { kind: "store", bytes: 0 },
    store: { present: true, stored: 0, limit: 0, refused: 0, queued: 0 },
  },
};

/** What the first group of a pattern finds, each once, in order. */
function found(path: string, pattern: RegExp): string[] {
  return [...new Set([...text(path).matchAll(pattern)].map((match) => match[1] as string))];
}

Deno.test("man virtlockd.conf(5) describes every key, in the order of the code", () => {
  assert.deepEqual(found("man/virtlockd.conf.5", /^\.It Ic ([a-z_]+) /gm), SETTING_KEYS);
});

Deno.test("the augeas lens and its test know every key", () => {
  const missing = SETTING_KEYS.filter((key) =>
    !new RegExp(`["/|]${key}["/|]`).test(text("packaging/augeas/virtlockd.aug")) ||
    !text("packaging/augeas/test_virtlockd.aug").includes(key)
  );
  assert.deepEqual(missing, []);
});

Deno.test("man virtlockd(8) describes every command", () => {
  const described = found("man/virtlockd.8", /^\.It Cm (\w+)/gm);
  assert.deepEqual([...described].sort(), [...COMMANDS].sort());
});

Deno.test("the completion offers every command and option", () => {
  const completion = text("packaging/completion/virtlockd");
  const offered = /compgen -W '([a-z ]+)' -- "\$cur"\)\n\s+fi/.exec(completion)?.[1]?.split(" ");
  assert.deepEqual(offered, COMMANDS);
  const options = found("src/chassis/config/options.ts", /^  "?([a-z-]+)"?: \{ type: "(?:boolean|string)"/gm);
  assert.ok(options.length >= 7);
  const daemon = /'' \) options|''\) options='([^']+)'/.exec(completion)?.[1]?.split(" ") ?? [];
  assert.deepEqual(options.filter((name) => !daemon.includes(`--${name}`)), []);
});

Deno.test("man virtlockd(8) describes every option", () => {
  const options = found("src/chassis/config/options.ts", /^  "?([a-z-]+)"?: \{ type: "(?:boolean|string)"/gm);
  const described = found("man/virtlockd.8", /(?:Fl|,) -([a-z-]+)/gm);
  assert.deepEqual(options.filter((name) => !described.includes(name)), []);
});

Deno.test("docs/metrics.md lists every metric with its kind and meaning, and no other", () => {
  const shown = metricsText(new Metrics(0), EVERYTHING, tallyLocks({ lockspaces: new Map() }));
  const kinds = new Map([...shown.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => [name, kind]));
  const rows = [...shown.matchAll(/^# HELP (\S+) (.+)$/gm)].map(([, name, help]) => {
    return `${name} ${kinds.get(name)} ${help}`;
  });
  const listed = [...text("docs/metrics.md").matchAll(/^\| `(\S+)` +\| (\w+) +\| (.+?) +\|$/gm)].map(
    (row) => {
      return row.slice(1).join(" ");
    },
  );
  assert.deepEqual(listed.sort(), rows.sort());
  // What is only shown in some state is in that list too.
  const source = text("src/lockd/daemon/metrics_text.ts");
  const written = [...source.matchAll(/"(virtlockd_[a-z_]+)"/g)].map(([, name]) => name);
  assert.deepEqual(written.filter((name) => !kinds.has(name)), []);
});
