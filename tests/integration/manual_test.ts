// Manual pages, completions, lens and lists of metrics against the programs that they describe.

import { VIRTLOCKD } from "../../src/lockd/identity/identity.ts";
import { VIRTSTORAGED } from "../../src/storaged/identity/identity.ts";
import assert from "node:assert/strict";
import { clusterCommands } from "../../src/lockd/cli/cluster_commands.ts";
import { CLUSTER_OPTIONS } from "../../src/lockd/cli/cluster/cluster_settings.ts";
import { listedDaemons } from "../../packaging/daemons.ts";
import type { Identity } from "../../src/chassis/config/identity.ts";
import { defaultPaths, type Paths } from "../../src/chassis/config/paths.ts";
import { LOCK_SETTINGS } from "../../src/lockd/identity/settings.ts";
import { STORAGE_SETTINGS } from "../../src/storaged/identity/settings.ts";
import { parseConfigFile } from "../../src/chassis/config/config_file.ts";
import { type CommonSettings, loadSettings, type SettingsSchema } from "../../src/chassis/config/settings.ts";
import { lockPaths } from "../../src/lockd/identity/lock_paths.ts";
import { Daemon } from "../support/daemon.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { StorageDaemon } from "../support/storage_daemon.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

function read(path: string): string {
  return Deno.readTextFileSync(`${ROOT}${path}`);
}

/** A daemon of the family, with what describes it. */
interface Described {
  readonly identity: Identity;
  /** The page with the table of its metrics. */
  readonly metrics: string;
  /** The file that writes them. */
  readonly texts: string;
  /** Those of the family's files that it has, for root and for a session. */
  readonly files: (paths: Paths, root: boolean) => readonly string[];
}

const DESCRIBED: readonly Described[] = [
  {
    identity: VIRTLOCKD,
    metrics: "docs/metrics.md",
    texts: "src/lockd/reporting/metrics_text.ts",
    // It has no read-only socket, and makes the directory of its sockets where that is missing.
    files: ({ runDir, stateDir, readOnlySocket: _, ...paths }) => [
      ...Object.values(paths),
      ...Object.values(lockPaths({ runDir, stateDir })),
    ],
  },
  {
    identity: VIRTSTORAGED,
    metrics: "docs/storage.md",
    texts: "src/storaged/status/metrics_text.ts",
    // A session's read-only socket would let in nobody else.
    files: ({ config, socket, readOnlySocket, adminSocket, pidFile, logFile }, root) => [
      config,
      socket,
      ...root ? [readOnlySocket] : [],
      adminSocket,
      pidFile,
      logFile,
    ],
  },
];

Deno.test("every daemon of the family is compared with what describes it", () => {
  assert.deepEqual(DESCRIBED.map(({ identity }) => identity.name), listedDaemons().map(({ name }) => name));
});

/** What a program says of itself. */
async function helpOf(daemon: string, ...args: readonly string[]): Promise<string> {
  using place = Place.create();
  const [file = "", ...rest] = place.command([
    Deno.execPath(),
    "run",
    "-A",
    "--no-check",
    `${ROOT}main.ts`,
    daemon,
    ...args,
  ]);
  const { success, stdout } = await new Deno.Command(file, {
    args: rest,
    env: { ...place.env },
    clearEnv: true,
  })
    .output();
  assert.ok(success);
  return new TextDecoder().decode(stdout);
}

/** What is between the heading of a section of a manual and the next one. */
function section(manual: string, name: string): string {
  return manual.split(/^\.Sh /m).find((text) => text.startsWith(`${name}\n`)) ?? assert.fail(`no ${name}`);
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

/** What a completion offers after a command, or before any. */
function completed(completion: string, command: string): string[] {
  const words = new RegExp(`^ +(?:[a-z| ]*\\b${command}\\b[a-z| ]*|)\\) options='(.*)' ;;$`, "m");
  const none = /^ +''\) options='(.*)' ;;$/m;
  const found = (command === "" ? none : words).exec(completion)?.[1] ??
    assert.fail(`nothing for ${command}`);
  return found.split(" ").filter((option) => option !== "-h" && option !== "--help").sort();
}

/** The lines of a manual's synopsis for a command. */
function synopsis(manual: string, command: string): string {
  const forms = section(manual, "SYNOPSIS").split(/^\.Nm\n/m);
  return forms.find((form) => new RegExp(`^\\.Cm (?:.* )?${command}\\b`).test(form)) ??
    assert.fail(`no synopsis of ${command}`);
}

/** The rows of a page's table of metrics: kind and labels by name. */
function documentedMetrics(page: string): Map<string, { kind: string; labels: string[] }> {
  const rows = [...read(page).matchAll(/^\| `(\w+)` +\| (gauge|counter|histogram) +\| ([^|]*?) *\| /gm)];
  return new Map(rows.map(([, name = "", kind = "", labels = ""]) => [
    name,
    { kind, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label) },
  ]));
}

/** The command that is a group of commands. */
const GROUP = clusterCommands.name;

for (const { identity, metrics, texts, files } of DESCRIBED) {
  const { name } = identity;
  const commands = Object.keys(identity.commands);
  const manual = read(`man/${name}.8`);
  const completion = read(`packaging/completion/${name}`);

  Deno.test(`${name}: manual and completion have the daemon's options`, async () => {
    const options = listed(await helpOf(name, "--help"));
    assert.ok(options.includes("--pid-file"), options.join());
    const items = section(manual, "OPTIONS").split("\n").filter((line) => line.startsWith(".It "));
    assert.deepEqual(marked(items.join("\n")), options);
    assert.deepEqual(completed(completion, ""), options);
  });

  for (const command of commands.filter((each) => each !== GROUP)) {
    Deno.test(`${name}: manual and completion have the options of ${command}`, async () => {
      const options = listed(await helpOf(name, command, "--help"));
      assert.deepEqual(completed(completion, command), options);
      // All commands take this one, by either name.
      assert.deepEqual([...marked(synopsis(manual, command)), "--connect"].sort(), options);
    });
  }

  Deno.test(`${name}: manual and completion have the commands, and no others`, () => {
    const described = section(manual, "COMMANDS").matchAll(/^\.It Cm ([a-z]+)\b/gm);
    assert.deepEqual([...described].map(([, command]) => command).sort(), commands.toSorted());
    const offered = [...completion.matchAll(/compgen -W '([a-z ]+)'/g)].map(([, words]) => words);
    assert.deepEqual(offered, [commands.join(" ")]);
  });

  Deno.test(`${name}: the manual has every file of the daemon`, () => {
    const described = section(manual, "FILES");
    const missing: string[] = [];
    const session = {
      XDG_CONFIG_HOME: "/$XDG_CONFIG_HOME",
      XDG_RUNTIME_DIR: "/$XDG_RUNTIME_DIR",
      XDG_CACHE_HOME: "/$XDG_CACHE_HOME",
    };
    for (const uid of [0, 1000]) {
      const paths = files(defaultPaths(identity, { uid, env: session, exists: () => false }), uid === 0);
      assert.ok(paths.length >= 5);
      for (const path of paths) {
        const shown = path.replace("/$", "$");
        if (!described.includes(`.It Pa ${shown}\n`)) missing.push(shown);
      }
    }
    assert.deepEqual(missing, []);
  });

  Deno.test(`${name}: ${metrics} has every metric of the sources, and no other`, () => {
    const written = [...read(texts).matchAll(/(?:\b(?:metric|single|gauge)\(\s*|histogram = )"([a-z_]+)"/g)];
    const names = new Set(written.map(([, rest]) => `${name}_${rest}`));
    // Those of the exporter and of the collector's file, of whichever daemon.
    names.add("up").add(`${name}_up`);
    assert.ok(names.size >= 10);
    assert.deepEqual([...documentedMetrics(metrics).keys()].sort(), [...names].sort());
  });
}

Deno.test("manual and completion have the commands about a cluster, with their options", () => {
  const manual = read("man/virtlockd.8");
  const completion = read("packaging/completion/virtlockd");
  const names = clusterCommands.commands.map(({ name }) => name);
  const described = section(manual, "CLUSTER COMMANDS").matchAll(/^\.It Cm (cluster [a-z]+)\b/gm);
  assert.deepEqual([...described].map(([, name]) => name), names);
  const words = names.map((name) => name.replace(`${GROUP} `, ""));
  assert.ok(completion.includes(`compgen -W "${words.join(" ")}"`));
  const common = CLUSTER_OPTIONS.flatMap(({ name, short }) => [
    ...short === undefined ? [] : [`-${short}`],
    `--${name}`,
  ]);
  const offeredByAll = / reached='(.*)'$/m.exec(completion)?.[1]?.split(" ");
  assert.deepEqual(offeredByAll, common);
  const inManual = section(manual, "CLUSTER COMMANDS").split("\n").filter((line) => /^\.It Fl/.test(line));
  for (const option of common) assert.ok(marked(inManual.join("\n")).includes(option), option);
  for (const { name, options } of clusterCommands.commands) {
    const own = options.map(({ name }) => `--${name}`).filter((option) => !common.includes(option)).sort();
    const offered = new RegExp(
      `\\b${name.replace(" ", "-")}\\b.*\\) options=(?:"\\$reached(.*)"|'(.*)') ;;$`,
      "m",
    );
    const [, besides, alone] = offered.exec(completion) ?? [];
    // What asks this host's daemon reaches no etcd of which it would have to be told.
    const asksDaemon = !options.some(({ name }) => name === "endpoints");
    const found = (asksDaemon ? alone : besides) ?? "none";
    assert.deepEqual(found.split(" ").filter((word) => word.startsWith("--")).sort(), own, name);
    const form = section(manual, "SYNOPSIS").split(/^\.Nm\n/m).find((text) =>
      new RegExp(`^\\.Cm cluster (?:.* )?${name.replace(`${GROUP} `, "")}\\b`).test(text)
    );
    const shown = marked(form ?? assert.fail(`no synopsis of ${name}`));
    assert.deepEqual(shown.map((option) => option === "-c" ? "--connect" : option).sort(), own, name);
  }
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

/** That the example of a lens shows every key with a value that the daemon takes. */
function testExample<S extends CommonSettings>(name: string, settings: SettingsSchema<S>): void {
  Deno.test(`${name}: the example of the lens has every key, in the text and in the tree`, () => {
    const [, text = "", tree = ""] =
      /let every_key = "(.*?[^\\])"\n\n\s*test \w+\.lns get every_key =\n(.*?)\n\n/s
        .exec(read(`packaging/augeas/test_${name}.aug`)) ?? [];
    const lens = read(`packaging/augeas/${name}.aug`);
    // Those that keep the daemon from starting are not in the lens, as sample_test.ts says.
    const keys = [...settings.keys.keys()].filter((key) => new RegExp(`[/|"]${key}[/|"]`).test(lens)).sort();
    const entries = parseConfigFile(text.replaceAll('\\"', '"'), "example");
    assert.deepEqual(entries.map(({ key }) => key).sort(), keys);
    assert.deepEqual([...tree.matchAll(/^ {6}\{ "(\w+)"/gm)].map(([, key]) => key).sort(), keys);
    loadSettings(settings, entries);
  });
}

testExample(VIRTLOCKD.name, LOCK_SETTINGS);
testExample(VIRTSTORAGED.name, STORAGE_SETTINGS);

/** That metrics are of the kinds, and have the labels, that their page says. */
function assertAsDocumented(text: string, page: string, least: number): void {
  const documented = documentedMetrics(page);
  let seen = 0;
  for (const [, name = "", kind] of text.matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
    const metric = documented.get(name);
    assert.equal(metric?.kind, kind, name);
    const sample = new RegExp(`^${name}(?:_count)?(?:\\{(.*)\\})? `, "m").exec(text);
    if (sample === null) continue;
    seen++;
    const labels = [...(sample[1] ?? "").matchAll(/(\w+)="/g)].map(([, label]) => label);
    assert.deepEqual(labels, metric?.labels, name);
  }
  assert.ok(seen >= least, `want samples of ${least} metrics and more, got ${seen}`);
}

Deno.test("a lock daemon's metrics are of the kinds, and have the labels, that their page says", async () => {
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
  assertAsDocumented(stdout, "docs/metrics.md", 21);
});

Deno.test("a storage daemon's metrics are of the kinds, and have the labels, that their page says", async () => {
  await using daemon = await StorageDaemon.start();
  daemon.open()[Symbol.dispose]();
  assertAsDocumented(await daemon.command("metrics"), "docs/storage.md", 10);
});
