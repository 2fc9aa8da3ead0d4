import assert from "node:assert/strict";
import { Daemon } from "../support/daemon.ts";
import { journalSocket, logsByItself } from "../support/journal.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { NotifyListener } from "../support/notify_listener.ts";
import { Place } from "../support/place.ts";

const ALPHA = testOwner(5_000_001, "alpha");
const LINE = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+0000: (\d+): (debug|info|warning|error) : [\w.]+ : .+$/;

/** Takes, is refused, and gives up a lock. */
async function converse(daemon: Daemon): Promise<void> {
  const disk = `${daemon.place.directory}/disk`;
  Deno.writeTextFileSync(disk, "");
  await using client = await LockClient.connect(daemon.socket);
  await client.register(ALPHA);
  await client.acquire("", disk);
  await client.acquire("", disk).catch(() => {});
  await client.release("", disk);
}

/** Levels of the lines, each once, in alphabetical order. */
function levels(text: string): string[] {
  const found = text.trimEnd().split("\n").filter((line) => line !== "").map((line) => {
    const [, , level] = LINE.exec(line) ?? assert.fail(`not a line of the log: ${line}`);
    return level ?? "";
  });
  return [...new Set(found)].sort();
}

/** What a daemon logs to a file of its own during a conversation. */
async function logOf(
  options: { args?: string[]; env?: Record<string, string>; config?: (log: string) => string },
): Promise<string> {
  using place = Place.create();
  const log = `${place.directory}/the.log`;
  const { args = [], env = { LIBVIRT_LOG_OUTPUTS: `1:file:${log}` }, config } = options;
  if (config !== undefined) place.writeConfig(config(log));
  await using daemon = await Daemon.start({ place, args, env });
  await converse(daemon);
  await daemon.stop();
  const text = Deno.readTextFileSync(log);
  for (const line of text.trimEnd().split("\n")) assert.equal(LINE.exec(line)?.[1], String(daemon.pid));
  return text;
}

Deno.test("a daemon logs warnings and errors unless told otherwise", async () => {
  const text = await logOf({});
  assert.deepEqual(levels(text), ["warning"]);
  assert.match(
    text,
    /: warning : locking\.lock_daemon : Refused domain 'alpha' \(uuid [-0-9a-f]+, pid 5000001\): /,
  );
});

Deno.test("-v logs what happens to locks, with domain, uuid, pid and resource", async () => {
  const text = await logOf({ args: ["-v"] });
  assert.deepEqual(levels(text), ["info", "warning"]);
  const owner = "domain 'alpha' \\(uuid [-0-9a-f]+, pid 5000001\\)";
  assert.match(text, new RegExp(`info : .* : Locked resource '.*/disk' \\(exclusive\\) for ${owner}`));
  assert.match(text, new RegExp(`info : .* : Released resource '.*/disk' of ${owner}`));
});

const SOURCES: Record<string, readonly [Parameters<typeof logOf>[0], string[]]> = {
  "the environment": [{
    config: (log) => `log_outputs = "1:file:${log}"\n`,
    env: { LIBVIRT_LOG_OUTPUTS: "", LIBVIRT_DEBUG: "1" },
  }, [
    "debug",
    "info",
    "warning",
  ]],
  "the configuration": [{
    config: (log) => `log_level = 2\nlog_outputs = "1:file:${log}"\n`,
    env: { LIBVIRT_LOG_OUTPUTS: "" },
  }, [
    "info",
    "warning",
  ]],
  "the level of the output": [{
    config: (log) => `log_level = 1\nlog_outputs = "3:file:${log}"\n`,
    env: { LIBVIRT_LOG_OUTPUTS: "" },
  }, [
    "warning",
  ]],
};
for (const [name, [options, wanted]] of Object.entries(SOURCES)) {
  Deno.test(`the log level is that of ${name}`, async () => {
    assert.deepEqual(levels(await logOf(options)), wanted);
  });
}

Deno.test("the environment wins over the configuration", async () => {
  const text = await logOf({
    config: (log) => `log_level = 1\nlog_outputs = "1:file:${log}"\n`,
    env: { LIBVIRT_LOG_OUTPUTS: "", LIBVIRT_DEBUG: "3" },
  });
  assert.deepEqual(levels(text), ["warning"]);
});

Deno.test("filters choose categories, the first match wins", async () => {
  const text = await logOf({
    config: (log) => `log_level = 4\nlog_filters = "2:lock_dae 1:locking"\nlog_outputs = "1:file:${log}"\n`,
    env: { LIBVIRT_LOG_OUTPUTS: "" },
  });
  assert.deepEqual(levels(text), ["info", "warning"]);
  assert.match(text, /Locked resource/);
});

Deno.test("a daemon in the foreground logs to standard error by itself where there is no journal", async () => {
  using place = Place.create();
  await using daemon = await Daemon.start(logsByItself(place));
  await converse(daemon);
  await daemon.stop();
  assert.deepEqual(levels(daemon.log.text), ["warning"]);
});

Deno.test("a daemon without a terminal logs to the journal by itself where there is one", async () => {
  using place = Place.create();
  using journal = new NotifyListener(journalSocket(place));
  await using daemon = await Daemon.start(logsByItself(place));
  await converse(daemon);
  await journal.next(/^MESSAGE=Refused domain 'alpha' /);
  await daemon.stop();
  assert.equal(daemon.log.text, "");
});

Deno.test("several outputs get what their levels allow", async () => {
  using place = Place.create();
  const [low, high] = [`${place.directory}/low`, `${place.directory}/high`];
  const env = { LIBVIRT_LOG_OUTPUTS: `1:file:${low}  3:file:${high} 4:stderr`, LIBVIRT_DEBUG: "info" };
  await using daemon = await Daemon.start({ place, env });
  await converse(daemon);
  await daemon.stop();
  assert.deepEqual(levels(Deno.readTextFileSync(low)), ["info", "warning"]);
  assert.deepEqual(levels(Deno.readTextFileSync(high)), ["warning"]);
  assert.equal(daemon.log.text, "");
});

Deno.test("a log file that cannot be opened keeps the daemon from starting", async () => {
  const { code, stderr } = await Daemon.run({ env: { LIBVIRT_LOG_OUTPUTS: "1:file:/nowhere/log" } });
  assert.equal(code, 1);
  assert.match(stderr, /^virtlockd: error: .*\/nowhere\/log: No such file or directory/);
});

Deno.test("names that break lines do not break the log", async () => {
  await using daemon = await Daemon.start({ args: ["-v"] });
  await using client = await LockClient.connect(daemon.socket);
  await client.register({ ...ALPHA, name: "evil\n2026-01-01 00:00:00.000+0000: 1: error : x : forged" });
  await client.acquire("", "/nowhere\nforged").catch(() => {});
  await daemon.stop();
  assert.deepEqual(levels(daemon.log.text), ["info", "warning"]);
});
