// conf/virtstoraged.conf, the manual of the configuration and the lens, against the code that they describe.

import assert from "node:assert/strict";
import { parseConfigFile } from "../../../../src/chassis/config/config_file.ts";
import { loadSettings } from "../../../../src/chassis/config/settings.ts";
import { STORAGE_SETTINGS } from "../../../../src/storaged/identity/settings.ts";

function read(path: string): string {
  return Deno.readTextFileSync(new URL(`../../../../${path}`, import.meta.url));
}

const SAMPLE = read("conf/virtstoraged.conf");

/** The keys that the sample shows. */
const SHOWN = parseConfigFile(SAMPLE.replace(/^#([a-z_]+ = )/gm, "$1"), "sample");

Deno.test("conf/virtstoraged.conf sets nothing", () => {
  assert.deepEqual(parseConfigFile(SAMPLE, "sample"), []);
});

Deno.test("conf/virtstoraged.conf shows keys with their defaults", () => {
  const { settings, warnings } = loadSettings(STORAGE_SETTINGS, SHOWN);
  // The level has a default of its own, which is only shown here.
  assert.deepEqual({ ...settings, logLevel: undefined }, STORAGE_SETTINGS.defaults);
  assert.deepEqual(warnings, []);
});

Deno.test("the manual has the keys of the sample, and the lens has them too", () => {
  const shown = SHOWN.map(({ key }) => key).sort();
  const manual = [...read("man/virtstoraged.conf.5").matchAll(/^\.It Ic (\w+) Ns = Ns/gm)].map(([, key]) =>
    key
  );
  assert.deepEqual(manual.sort(), shown);
  const lens = read("packaging/augeas/virtstoraged.aug");
  assert.deepEqual(shown.filter((key) => !new RegExp(`[/|"]${key}[/|"]`).test(lens)), []);
});

Deno.test("the lens has every key that the daemon takes", () => {
  const lens = read("packaging/augeas/virtstoraged.aug");
  const unknown = [...STORAGE_SETTINGS.keys.keys()].filter((key) =>
    !new RegExp(`[/|"]${key}[/|"]`).test(lens)
  );
  // These keep the daemon from starting.
  assert.deepEqual(unknown.sort(), [
    "auth_tcp",
    "auth_tls",
    "listen_tcp",
    "listen_tls",
    "sasl_allowed_username_list",
    "tls_allowed_dn_list",
    "tls_no_verify_certificate",
  ]);
});
