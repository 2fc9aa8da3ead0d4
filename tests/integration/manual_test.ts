// The manual pages, the completion, the lens and the page of metrics against the program that they describe.

import { VIRTLOCKD } from "../../src/lockd/identity/identity.ts";
import assert from "node:assert/strict";
import { defaultPaths } from "../../src/chassis/config/paths.ts";
import { LOCK_SETTINGS } from "../../src/lockd/identity/settings.ts";
import { registryPath } from "../../src/lockd/daemon/registered_lockspaces.ts";
import { Daemon } from "../support/daemon.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";

const COMMANDS = Object.keys(VIRTLOCKD.commands);

function read(path: string): string {
  return Deno.readTextFileSync(new URL(`../../${path}`, import.meta.url));
}

const MANUAL = read("man/virtlockd.8");
const COMPLETION = read("packaging/completion/virtlockd");

/** What is between the heading of a section of the manual and the next one. */
function section(name: string): string {
  return MANUAL.split(/^\.Sh /m).find((text) => text.startsWith(`${name}\n`)) ?? assert.fail(`no ${name}`);
}

/** The options that a help text lists, `-x` and `--long`, without those for help. */
function listed(help: string): string[] {
  const options = help.split("\n").flatMap((line) => {
    const [, short, long] = /^ {2}(?:(-\w), | {4})?(--[a-z-]+)/.exec(line) ?? [];
    return [short, long].filter((option) => option !== undefined);
  });
  return options.filter((option) => option !== "-h" && option !== "--help").sort();
}

/** The options that mdoc(7) marks in a text: the words after the macro Fl, up to the next macro. */
function marked(text: string): string[] {
  const options: string[] = [];
  for (const line of text.split("\n")) {
    let flags = false;
    for (const word of line.replace(/^\./, "").split(" ")) {
      if (word === "Fl") flags = true;
      else if (/^[A-Z][a-z]$/.test(word)) flags = false;
      else if (flags && word !== ",") options.push(`-${word}`);
    }
  }
  return options.filter((option) => option !== "-h" && option !== "--help").sort();
}

/** What the completion offers after a command, or before any. */
function completed(command: string): string[] {
  const words = new RegExp(`^ +(?:[a-z| ]*\\b${command}\\b[a-z| ]*|)\\) options='(.*)' ;;$`, "m");
  const none = /^ +''\) options='(.*)' ;;$/m;
  const found = (command === "" ? none : words).exec(COMPLETION)?.[1] ??
    assert.fail(`nothing for ${command}`);
  return found.split(" ").filter((option) => option !== "-h" && option !== "--help").sort();
}

Deno.test("the manual and the completion have the daemon's options", async () => {
  const options = listed((await Daemon.run({ args: ["--help"] })).stdout);
  assert.ok(options.includes("--pid-file"), options.join());
  const items = section("OPTIONS").split("\n").filter((line) => line.startsWith(".It "));
  assert.deepEqual(marked(items.join("\n")), options);
  assert.deepEqual(completed(""), options);
});

/** The lines of the manual's synopsis for a command. */
function synopsis(command: string): string {
  const forms = section("SYNOPSIS").split(/^\.Nm\n/m);
  return forms.find((form) => new RegExp(`^\\.Cm (?:.* )?${command}\\b`).test(form)) ??
    assert.fail(`no synopsis of ${command}`);
}

for (const command of COMMANDS) {
  Deno.test(`the manual and the completion have the options of ${command}`, async () => {
    const options = listed((await Daemon.run({ args: [command, "--help"] })).stdout);
    assert.deepEqual(completed(command), options);
    // All commands take this one, by either name.
    assert.deepEqual([...marked(synopsis(command)), "--connect"].sort(), options);
    assert.match(section("COMMANDS"), new RegExp(`^\\.It Cm ${command}\\b`, "m"));
  });
}

Deno.test("the completion offers the commands", () => {
  const [, words = ""] = /compgen -W '(locks [a-z ]+)'/.exec(COMPLETION) ?? [];
  assert.deepEqual(words.split(" "), COMMANDS);
});

Deno.test("the manual has every file of the daemon", () => {
  const files = section("FILES");
  const missing: string[] = [];
  const session = {
    XDG_CONFIG_HOME: "/$XDG_CONFIG_HOME",
    XDG_RUNTIME_DIR: "/$XDG_RUNTIME_DIR",
    XDG_CACHE_HOME: "/$XDG_CACHE_HOME",
  };
  for (const uid of [0, 1000]) {
    // The lock daemon has no socket of that kind.
    const { runDir, readOnlySocket: _, ...paths } = defaultPaths(VIRTLOCKD, {
      uid,
      env: session,
      exists: () => false,
    });
    assert.equal(typeof runDir, "string");
    for (const path of [...Object.values(paths), registryPath({ runDir })]) {
      const name = path.replace("/$", "$");
      if (!files.includes(`.It Pa ${name}\n`)) missing.push(name);
    }
  }
  assert.deepEqual(missing, []);
});

Deno.test("the manual of the configuration and the lens have every key", () => {
  const keys = [...read("man/virtlockd.conf.5").matchAll(/^\.It Ic (\w+) Ns = Ns/gm)].map(([, key]) => key);
  assert.deepEqual(keys.sort(), [...LOCK_SETTINGS.keys.keys()].sort());
  const lens = [
    ...read("packaging/augeas/virtlockd.aug").matchAll(/= (?:.*\| )?\w+_entry ["/]([\w|]+)["/]/g),
  ];
  const known = [...lens.map(([line]) => line).join("\n").matchAll(/_entry ["/]([\w|]+)["/]/g)];
  assert.deepEqual(
    known.flatMap(([, names = ""]) => names.split("|")).sort(),
    [...LOCK_SETTINGS.keys.keys()].sort(),
  );
});

/** The rows of the table of metrics: kind and labels by name. */
function documentedMetrics(): Map<string, { kind: string; labels: string[] }> {
  const rows = [...read("docs/metrics.md").matchAll(/^\| `(\w+)` +\| (\w+) +\| ([^|]*?) *\| /gm)];
  return new Map(rows.map(([, name = "", kind = "", labels = ""]) => [
    name,
    { kind, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label) },
  ]));
}

Deno.test("the page of metrics has every metric of the sources, and no other", () => {
  const source = new URL("../../src", import.meta.url).pathname;
  const names = new Set(["up"]);
  for (const path of walk(source)) {
    for (const [, name = ""] of Deno.readTextFileSync(path).matchAll(/"(virtlockd_[a-z_]+)"/g)) {
      names.add(name);
    }
  }
  assert.deepEqual([...documentedMetrics().keys()].sort(), [...names].sort());
});

Deno.test("a daemon's metrics are of the kinds, and have the labels, that their page says", async () => {
  await using daemon = await Daemon.start();
  {
    await using client = await LockClient.connect(daemon.socket);
    await client.register(testOwner(5_000_001));
    const disk = `${daemon.place.directory}/disk`;
    Deno.writeTextFileSync(disk, "");
    await client.acquire("", disk);
    await assert.rejects(client.acquire("", disk));
  }
  const { stdout } = await daemon.command("metrics");
  const documented = documentedMetrics();
  let seen = 0;
  for (const [, name = "", kind] of stdout.matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
    const metric = documented.get(name);
    assert.equal(metric?.kind, kind, name);
    const sample = new RegExp(`^${name}(?:_count)?(?:\\{(.*)\\})? `, "m").exec(stdout);
    if (sample === null) continue;
    seen++;
    const labels = [...(sample[1] ?? "").matchAll(/(\w+)="/g)].map(([, label]) => label);
    assert.deepEqual(labels, metric?.labels, name);
  }
  assert.ok(seen > 20, `want samples of twenty metrics and more, got ${seen}`);
});

function* walk(directory: string): Generator<string> {
  for (const entry of Deno.readDirSync(directory)) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory) yield* walk(path);
    else yield path;
  }
}
