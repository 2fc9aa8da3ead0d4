import assert from "node:assert/strict";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { TestProcess } from "../support/test_process.ts";
import { host, type Output, runOk } from "./support/command.ts";
import { installMissing, LIBVIRT_PACKAGES } from "./support/debian_packages.ts";
import { OUR_DAEMON, REFERENCE_DAEMON } from "./support/libvirt_lab.ts";
import { PrivateHost } from "./support/private_host.ts";

/** The page that says how. */
const GUIDE = "docs/operating.md";

// What the real virt-admin prints against Debian's own daemon it has to print against ours, word for word.

/** Arguments of virt-admin, one run after the other. `FILE` is a file that can be made. */
const SCRIPT: readonly (readonly string[])[] = [
  ["version"],
  ["server-list"],
  ["client-list", "virtlockd"],
  ["client-list", "admin"],
  ["client-list", "nosuch"],
  ["client-info", "virtlockd", "1"],
  ["client-info", "virtlockd", "99"],
  ["client-info", "nosuch", "1"],
  ["server-clients-info", "virtlockd"],
  ["server-clients-info", "admin"],
  ["server-clients-info", "nosuch"],
  ["server-clients-set", "virtlockd", "--max-clients", "100"],
  ["server-clients-set", "virtlockd", "--max-clients", "200", "--max-unauth-clients", "20"],
  ["server-clients-info", "virtlockd"],
  ["server-clients-set", "virtlockd", "--max-clients", "10"],
  ["server-clients-set", "virtlockd", "--max-unauth-clients", "300"],
  ["server-clients-set", "nosuch", "--max-clients", "10"],
  ["server-threadpool-info", "virtlockd"],
  ["server-threadpool-info", "nosuch"],
  ["server-threadpool-set", "virtlockd", "--max-workers", "5"],
  ["server-threadpool-set", "virtlockd", "--min-workers", "1"],
  ["server-threadpool-set", "virtlockd", "--max-workers", "0"],
  ["server-threadpool-set", "virtlockd", "--priority-workers", "3"],
  ["server-threadpool-set", "nosuch", "--max-workers", "5"],
  ["server-threadpool-info", "admin"],
  ["daemon-log-filters"],
  ["daemon-log-filters", "--filters", "1:qemu 3:foo"],
  ["daemon-log-filters"],
  ["daemon-log-filters", "--filters", "1:*lock*"],
  ["daemon-log-filters"],
  ["daemon-log-filters", "--filters", "9:x"],
  ["daemon-log-filters", "--filters", "x"],
  ["daemon-log-filters", "--filters", "1:"],
  ["daemon-log-filters", "--filters", ""],
  ["daemon-log-filters"],
  ["daemon-log-outputs"],
  ["daemon-log-outputs", "--outputs", "2:syslog:foo 3:file:FILE"],
  ["daemon-log-outputs"],
  ["daemon-log-outputs", "--outputs", "1:file:/nonexistent-directory/x"],
  ["daemon-log-outputs", "--outputs", "1:bogus"],
  ["daemon-log-outputs", "--outputs", "7:stderr"],
  ["daemon-log-outputs", "--outputs", "1:syslog"],
  ["daemon-log-outputs", "--outputs", "1:stderr:x"],
  ["daemon-log-outputs", "--outputs", "stderr"],
  ["daemon-log-outputs", "--outputs", ""],
  ["daemon-log-outputs"],
  ["daemon-timeout", "--timeout", "4294967295"],
  ["daemon-timeout", "--timeout", "0"],
  ["server-update-tls", "virtlockd"],
  ["server-update-tls", "nosuch"],
  ["client-disconnect", "virtlockd", "99"],
  ["client-disconnect", "nosuch", "1"],
  ["client-disconnect", "virtlockd", "1"],
  ["client-list", "virtlockd"],
];

/** What virt-admin said, with what differs from run to run replaced. */
function transcript(args: readonly string[], { code, stdout, stderr }: Output): string {
  const text = `$ ${args.join(" ")}\n${stdout}${stderr}rc=${code}\n`;
  return text.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+0000/g, "TIME")
    // The one intended difference: the version of the daemon is its own.
    .replace(/(Running against daemon: )\d+\.\d+\.\d+/, "$1VERSION")
    // libvirt's daemon keeps its servers in a hash table: their order is another one at each start.
    .replace(" 0    admin\n 1    virtlockd\n", " 0    virtlockd\n 1    admin\n");
}

/** A daemon of this executable for the whole host, and what virt-admin says of it. */
async function systemTranscript(executable: string): Promise<string[]> {
  await using site = await PrivateHost.create();
  await runOk(site, [executable, "-d"]);
  await using client = await LockClient.connect(site.outside("/run/libvirt/virtlockd-sock"));
  await client.register(testOwner(5_000_001));
  const file = `${site.directory}/log`;
  const said: string[] = [];
  for (const words of SCRIPT) {
    const args = words.map((word) => word.replace("FILE", file));
    const output = await site.run(["virt-admin", "-c", "virtlockd:///system", ...args], {
      env: { LC_ALL: "C" },
    });
    said.push(transcript(words, output).replaceAll(file, "FILE"));
  }
  assert.equal(await client.closed, undefined);
  return said;
}

/** The same for a daemon of an ordinary user's session. */
async function sessionTranscript(executable: string): Promise<string[]> {
  using place = Place.create();
  const env = { ...place.env, LC_ALL: "C", LIBVIRT_LOG_OUTPUTS: "" };
  const run = async (command: readonly string[]): Promise<Output> => {
    await using process = new TestProcess(place.command(command), env, place.directory);
    const { code } = await process.wait();
    return { code, stdout: process.stdout.text, stderr: process.stderr.text };
  };
  assert.equal((await run([executable, "-d"])).code, 0);
  await using client = await LockClient.connect(place.paths.socket);
  await client.register(testOwner(5_000_001));
  const file = `${place.directory}/log`;
  const said: string[] = [];
  for (const words of SCRIPT) {
    const args = words.map((word) => word.replace("FILE", file));
    const output = await run(["virt-admin", "-c", "virtlockd:///session", ...args]);
    said.push(transcript(words, output).replaceAll(file, "FILE").replaceAll(place.directory, "HOME"));
  }
  return said;
}

Deno.test("virt-admin prints of the host's daemon what it prints of Debian's", async () => {
  await installMissing(LIBVIRT_PACKAGES);
  assert.deepEqual(await systemTranscript(OUR_DAEMON), await systemTranscript(REFERENCE_DAEMON));
});

Deno.test(
  "virt-admin prints of a session's daemon what it prints of Debian's",
  async () => {
    await installMissing(LIBVIRT_PACKAGES);
    assert.deepEqual(await sessionTranscript(OUR_DAEMON), await sessionTranscript(REFERENCE_DAEMON));
  },
);

Deno.test({
  name: "The guide's two commands make locks visible in the log, and not one of them alone",
}, async () => {
  await installMissing(LIBVIRT_PACKAGES);
  const guide = await Deno.readTextFile(new URL(`../../${GUIDE}`, import.meta.url));
  const commands = [...guide.matchAll(/^ {4}(virt-admin .* daemon-log-(?:filters|outputs) .*)$/gm)].map((
    [, line],
  ) => line ?? "");
  assert.equal(commands.length, 2);
  await using site = await PrivateHost.create();
  await runOk(site, [OUR_DAEMON, "-d"]);
  await using client = await LockClient.connect(site.outside("/run/libvirt/virtlockd-sock"));
  await client.register(testOwner(5_000_001));
  const file = `${site.directory}/log`;
  const granted = async () => (await Deno.readTextFile(file)).match(/Locked resource .*disk\d/g)?.length ?? 0;
  await Deno.writeTextFile(file, "");
  for (const [index, expected] of [0, 1].entries()) {
    await runOk(site, (commands[index] ?? "").replace("journald", `file:${file}`).split(" "));
    await client.acquire("", `${site.directory}/disk${index}`, 2);
    assert.equal(await granted(), expected);
  }
});

Deno.test("promtool accepts the metrics, and virt-admin's work shows in them", async () => {
  await installMissing(["prometheus"]);
  await using site = await PrivateHost.create();
  await runOk(site, [OUR_DAEMON, "-d"]);
  await using client = await LockClient.connect(site.outside("/run/libvirt/virtlockd-sock"));
  await client.register(testOwner(5_000_001));
  await client.acquire("", `${site.directory}/disk "quoted"\\`, 2);
  await runOk(site, ["virt-admin", "-c", "virtlockd:///system", "server-list"]);
  const metrics = await runOk(site, [OUR_DAEMON, "metrics"]);
  assert.match(
    metrics,
    /^virtlockd_requests_total\{program="admin",procedure="ListServers",result="ok"\} 1$/m,
  );
  const checked = await host.run(["promtool", "check", "metrics"], { input: metrics });
  assert.deepEqual(checked, { code: 0, stdout: "", stderr: "" });
});
