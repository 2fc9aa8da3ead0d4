import assert from "node:assert/strict";
import { Host } from "../../../../../src/lockd/cli/guests/host.ts";
import { configuration } from "../../../../../src/lockd/cli/checks/configuration.ts";
import { kernel } from "../../../../support/kernel.ts";
import { answering, FakeHost, findings, found, NO_DAEMON, patientOf } from "./check_fixture.ts";

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
    new RegExp(`^problem: ${path}:1: Invalid log_filters: `),
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

Deno.test("configuration finds a log output that cannot be opened, with file and line", async () => {
  const path = "/etc/libvirt/virtlockd.conf";
  const outputs = (value: string, tree = {}) =>
    found(configuration, { [path]: `# x\nlog_outputs = "${value}"\n`, ...tree });
  const cannot = `problem: ${path}:2: a log output cannot be opened: `;
  assert.deepEqual(await outputs("1:file:/nowhere/x.log"), [`${cannot}there is no directory /nowhere`]);
  assert.deepEqual(await outputs("3:stderr 1:file:/var/log/x", { "/var/log/x/": "" }), [
    `${cannot}/var/log/x is a directory`,
  ]);
  assert.deepEqual(await outputs("1:file:/var/log/x.log", { "/var/log/": "" }), [`ok: ${path} can be read`]);
});

Deno.test("configuration says what a mistake does, which depends on whether a daemon runs", async () => {
  const tree = { "/etc/libvirt/virtlockd.conf": "max_clients = 0\n" };
  const advice = async (daemon = NO_DAEMON) => (await findings(configuration, tree, daemon))[0]?.advice;
  assert.match(await advice() ?? "", /^Correct it: no daemon starts with it while no lock is held/);
  assert.match(await advice(answering()) ?? "", /until then it goes on with what it has read$/);
});

Deno.test("configuration says why a file cannot be read, and sends only those to root who are not", async () => {
  const path = "/etc/libvirt/virtlockd.conf";
  assert.deepEqual(await found(configuration, { [`${path}/`]: "" }), [`problem: ${path} is a directory`]);
  const unreadable = async (uid: number, silent = false) => {
    using host = new FakeHost({ [path]: "" });
    const sys = { ...kernel, uid: () => uid, open: () => -13 };
    const seen = new Host(sys, host.root, host.host.places, () => silent);
    const [finding] = await configuration.run(patientOf(seen));
    return `${finding?.level}: ${finding?.found} -> ${finding?.advice}`;
  };
  assert.match(
    await unreadable(0),
    /^problem: \S+ cannot be read, not even by root -> The reason is in: cat \/etc\/libvirt\/virtlockd.conf\./,
  );
  assert.match(
    await unreadable(1000),
    /^warning: \S+ cannot be read by this user -> Run this as the user whose/,
  );
  assert.match(
    await unreadable(0, true),
    /^problem: \S+ is on storage that does not answer -> See to that storage/,
  );
});
