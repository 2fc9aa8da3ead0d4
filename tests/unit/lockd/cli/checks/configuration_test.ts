import assert from "node:assert/strict";
import { configuration } from "../../../../../src/lockd/cli/checks/configuration.ts";
import { found } from "./check_fixture.ts";

/** What is said of the daemon's configuration file. */
function said(text: string): Promise<string[]> {
  return found(configuration, { "/etc/libvirt/virtlockd.conf": text });
}

Deno.test("configuration is content with a file that the daemon understands, and with none", async () => {
  assert.deepEqual(await said("max_clients = 5\n"), ["ok: /etc/libvirt/virtlockd.conf can be read"]);
  assert.deepEqual(await found(configuration, {}), []);
});

Deno.test("configuration finds what the daemon would refuse, with file and line", async () => {
  const path = "/etc/libvirt/virtlockd.conf";
  assert.deepEqual(await said('# x\nmax_clients = "five"\n'), [
    `problem: ${path}:2: expected an integer from 1 to 4294967295 for "max_clients", got the string "five"`,
  ]);
  assert.match((await said("max_clients = \n")).join(), new RegExp(`^problem: ${path}:1: `));
  assert.match(
    (await said('log_filters = "9:x"\n')).join(),
    new RegExp(`^problem: ${path}: Invalid log_filters: `),
  );
  assert.match((await said('log_outputs = "1:nowhere"\n')).join(), /Invalid log_outputs: /);
  assert.match((await said("max_client = 5\n")).join(), /^warning: .*:1: unknown key "max_client"/);
});

Deno.test("configuration looks at VIRTLOCKD_ARGS, too, and at the file that it names", async () => {
  const args = (value: string, tree = {}) =>
    found(configuration, { "/etc/default/virtlockd": `# x\nVIRTLOCKD_ARGS=${value}\n`, ...tree });
  assert.deepEqual(await args(""), []);
  assert.deepEqual(await args('"--timeout 5 -v"'), []);
  assert.deepEqual(await args("'--timeout x'"), [
    'problem: VIRTLOCKD_ARGS in /etc/default/virtlockd: Option "--timeout" needs a whole number of seconds ' +
    'from 0 to 2147483, got "x"',
  ]);
  assert.match((await args("locks")).join(), /they name a command or ask for help/);
  assert.deepEqual(await args('"-f /etc/own.conf"'), [
    "problem: /etc/own.conf is not there, but VIRTLOCKD_ARGS names it",
  ]);
  assert.deepEqual(await args('"-f /etc/own.conf"', { "/etc/own.conf": "max_clients = 0\n" }), [
    'problem: /etc/own.conf:1: expected an integer from 1 to 4294967295 for "max_clients", got 0',
  ]);
});
