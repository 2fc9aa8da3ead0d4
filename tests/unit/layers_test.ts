import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { builtPrograms } from "../../packaging/contents.ts";

/**
 * The rooms of src/, lowest first: a file may import from its own room and from those before it. A daemon's
 * rooms never appear before the chassis's, so the chassis can know none of them.
 */
const LAYERS = [
  "base",
  "etcd/wire",
  "etcd/link",
  "os",
  "chassis/wire",
  "chassis/config",
  "chassis/log",
  "chassis/event",
  "chassis/rpc",
  "chassis/systemd",
  "chassis/journal",
  "chassis/metrics",
  "chassis/admin",
  "chassis/start",
  "chassis/children",
  "chassis/cli",
  "lockd/identity",
  "lockd/wire",
  "lockd/lockspace",
  "lockd/storage",
  "lockd/cluster",
  "lockd/store",
  "lockd/journal",
  "lockd/restart",
  "lockd/programs",
  "lockd/status",
  "lockd/reporting",
  "lockd/daemon",
  "lockd/handover",
  "lockd/crash",
  "lockd/life",
  "lockd/cli",
  "storaged/identity",
  "storaged/model",
  "storaged/wire",
  "storaged/rpc",
  "storaged/xml",
  "storaged/work",
  "storaged/volumes",
  "storaged/backends",
  "storaged/operations",
  "storaged/pools",
  "storaged/programs",
  "storaged/status",
  "storaged/daemon",
  "storaged/cli",
];
const SOURCE = join(import.meta.dirname as string, "../../src");

/** Room of a path below src/: the longest name of a room that it begins with. */
function roomOf(path: string): string {
  const parts = dirname(path).split("/");
  for (let length = parts.length; length > 0; length--) {
    const name = parts.slice(0, length).join("/");
    if (LAYERS.includes(name)) return name;
  }
  return "none";
}

const FILES = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter((path) =>
  path.endsWith(".ts")
);

/** Paths below src/ that a file imports, besides the manifest, which has the version. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(SOURCE, file), "utf8");
  return [...text.matchAll(/(?:from |import |import\()"(\.[^"]+\.ts)"/g)]
    .map(([, path]) => normalize(join(dirname(file), path as string)))
    .filter((path) => path !== "../deno.json");
}

Deno.test("every file of src/ is in a room that docs/architecture.md describes", () => {
  assert.deepEqual(FILES.filter((file) => roomOf(file) === "none"), []);
  const rooms = new Set(FILES.map(roomOf));
  assert.deepEqual([...rooms].sort(), [...LAYERS].sort());
  const page = readFileSync(join(SOURCE, "..", "docs/architecture.md"), "utf8");
  const described = [...page.matchAll(/^\| `([a-z/]+)` +\|/gm)].map(([, name]) => name as string);
  assert.deepEqual(described.sort(), [...LAYERS].sort());
});

for (const [level, layer] of LAYERS.entries()) {
  Deno.test(`src/${layer} imports only from rooms below it`, () => {
    const upward: string[] = [];
    for (const file of FILES.filter((path) => roomOf(path) === layer)) {
      for (const path of importsOf(file)) {
        const target = LAYERS.indexOf(roomOf(path));
        if (target < 0 || target > level) upward.push(`${file} imports ${path}`);
      }
    }
    assert.deepEqual(upward, []);
  });
}

/**
 * What a room must not know although it lies below, as docs/architecture.md says it in its last column. A
 * name stands for the rooms that begin with it, or for one file. Of the others the order says it all.
 */
const MUST_NOT_KNOW: Readonly<Record<string, readonly string[]>> = {
  "etcd/wire": ["base"],
  "etcd/link": ["base"],
  "chassis/config": ["os", "chassis"],
  "chassis/log": ["chassis/wire"],
  "chassis/event": ["chassis/wire", "chassis/config"],
  "chassis/systemd": ["chassis/wire", "chassis/config", "chassis/rpc"],
  "chassis/journal": ["chassis/wire", "chassis/config", "chassis/systemd"],
  "chassis/metrics": ["os", "chassis"],
  "chassis/admin": ["chassis/config", "chassis/event", "chassis/systemd", "chassis/journal"],
  "chassis/start": ["chassis/wire", "chassis/journal", "chassis/metrics", "chassis/admin"],
  "chassis/children": ["chassis/wire", "chassis/rpc", "chassis/systemd", "chassis/journal"],
  "chassis/cli": ["chassis/event", "chassis/rpc", "chassis/journal", "chassis/admin", "chassis/children"],
  "lockd/identity": ["os"],
  "lockd/wire": ["os", "chassis/event", "chassis/rpc"],
  // What the kernel shows of processes, descriptors and locks it is told, and does not parse.
  "lockd/lockspace": ["chassis/wire", "lockd/wire", "lockd/identity", "os/read_file.ts"],
  "lockd/storage": ["chassis/wire", "chassis/rpc", "lockd/wire", "lockd/identity"],
  "lockd/cluster": [
    "etcd/link",
    "chassis/wire",
    "chassis/rpc",
    "chassis/journal",
    "lockd/wire",
    "lockd/storage",
  ],
  "lockd/store": ["chassis/wire", "chassis/config", "chassis/rpc", "chassis/start", "lockd"],
  "lockd/journal": ["chassis/wire", "chassis/start", "lockd/wire", "lockd/storage", "lockd/identity"],
  "lockd/restart": ["chassis/event", "chassis/journal", "lockd/storage", "lockd/identity"],
  "lockd/programs": ["chassis/event", "lockd/storage", "lockd/journal", "lockd/restart"],
  "lockd/status": ["os", "chassis/event", "lockd/storage", "lockd/journal", "lockd/restart"],
  "lockd/reporting": ["chassis/event", "chassis/journal", "lockd/journal", "lockd/restart"],
  "lockd/daemon": ["chassis/journal", "chassis/cli"],
  "lockd/handover": ["chassis/journal", "lockd/status", "lockd/reporting"],
  "lockd/crash": ["chassis/start", "chassis/cli"],
  "lockd/life": ["chassis/journal", "chassis/cli", "lockd/wire", "lockd/programs", "lockd/status"],
  "lockd/cli": [
    "chassis/event",
    "chassis/rpc",
    "lockd/journal",
    "lockd/programs",
    "lockd/daemon",
    "lockd/crash",
  ],
  "storaged/identity": ["os"],
  "storaged/model": ["os", "chassis/event", "chassis/rpc"],
  "storaged/wire": ["os", "chassis/event", "chassis/rpc"],
  "storaged/rpc": ["storaged/identity", "storaged/wire"],
  "storaged/xml": ["os", "chassis/rpc", "storaged/wire", "storaged/rpc"],
  "storaged/work": ["chassis/rpc", "storaged/wire", "storaged/rpc", "storaged/xml"],
  "storaged/volumes": ["chassis/event", "chassis/rpc", "storaged/wire", "storaged/rpc", "storaged/xml"],
  "storaged/backends": ["chassis/event", "chassis/rpc", "storaged/wire", "storaged/rpc"],
  "storaged/operations": ["chassis/event", "chassis/rpc", "storaged/wire", "storaged/rpc", "storaged/xml"],
  "storaged/pools": ["chassis/rpc", "storaged/wire", "storaged/rpc"],
  "storaged/programs": ["os", "chassis/event", "storaged/work", "storaged/volumes", "storaged/pools"],
  "storaged/status": ["os", "chassis/event", "storaged/rpc", "storaged/work", "storaged/pools"],
  "storaged/daemon": ["chassis/cli", "storaged/xml", "storaged/volumes", "storaged/backends"],
  "storaged/cli": ["chassis/event", "chassis/rpc", "storaged/rpc", "storaged/pools", "storaged/programs"],
};

for (const [room, unknown] of Object.entries(MUST_NOT_KNOW)) {
  Deno.test(`src/${room} does not know what it must not: ${unknown.join(", ")}`, () => {
    const files = FILES.filter((path) => roomOf(path) === room);
    assert.ok(files.length > 0);
    const inside = (path: string) => unknown.some((name) => path === name || path.startsWith(`${name}/`));
    const wrong = files.flatMap((file) =>
      importsOf(file).filter((path) => roomOf(path) !== room && inside(path))
        .map((path) => `${file} imports ${path}`)
    );
    assert.deepEqual(wrong, []);
    const level = LAYERS.indexOf(room);
    assert.deepEqual(
      unknown.filter((name) =>
        !FILES.includes(name) && !LAYERS.slice(0, level).some((below) => below.startsWith(name))
      ),
      [],
    );
  });
}

Deno.test("no file loads a node: module when the program starts", () => {
  // node:crypto alone costs the daemon 18 ms of its start, node:util 6. Commands import such modules when
  // they need them.
  const early = FILES.flatMap((file) => {
    const text = readFileSync(join(SOURCE, file), "utf8");
    return [...text.matchAll(/^import (?!type )[^;]*from "(node:[^"]+)"/gm)].map(([, name]) =>
      `${file}: ${name}`
    );
  });
  assert.deepEqual(early, []);
});

/** What reaches itself through others: in groups of more than one. */
function circles(names: Iterable<string>, next: (name: string) => Iterable<string>): string[][] {
  const order = new Map<string, number>();
  const open: string[] = [];
  const found: string[][] = [];
  const visit = (name: string): number => {
    const number = order.size;
    order.set(name, number);
    let low = number;
    open.push(name);
    for (const other of next(name)) {
      if (!order.has(other)) low = Math.min(low, visit(other));
      else if (open.includes(other)) low = Math.min(low, order.get(other) ?? low);
    }
    if (low === number) {
      const group = open.splice(open.indexOf(name));
      if (group.length > 1) found.push(group.sort());
    }
    return low;
  };
  for (const name of names) if (!order.has(name)) visit(name);
  return found;
}

Deno.test("no files of src/ import each other, not even for a type", () => {
  assert.deepEqual(circles(FILES, importsOf), []);
});

Deno.test("no folders of src/ import from each other, also within a room", () => {
  const next = new Map<string, Set<string>>(FILES.map((file) => [dirname(file), new Set()]));
  for (const file of FILES) {
    for (const path of importsOf(file)) next.get(dirname(file))?.add(dirname(path));
  }
  assert.deepEqual(circles(next.keys(), (folder) => next.get(folder) ?? []), []);
});

Deno.test("no file of base, os and chassis names a daemon of the family", () => {
  const naming = FILES.filter((file) => /^(?:base|os|chassis)\//.test(file)).filter((file) =>
    /virtlockd|virtstoraged|virtlxcd|lockd\b|storaged\b/i.test(readFileSync(join(SOURCE, file), "utf8"))
  );
  assert.deepEqual(naming, []);
});

/** Words for what only one daemon has to do with. The chassis serves all of them. */
const DAEMONS_WORDS = /^(?:un)?(?:lock(?:s|ed|ing)?|lockspaces?|guests?|leases?|holders?|volumes?)$/;

/** Files of the chassis in which such a word is needed, each with its reason. */
const CHASSIS_WORDS: Readonly<Record<string, string>> = {
  "chassis/journal/journal_file.ts": "one daemon locks its journal's file",
  "chassis/start/pid_file.ts": "one daemon locks its PID file, and tells who has it",
  "chassis/wire/rpc_error.ts":
    "libvirt numbers the parts of itself from which errors come, the lock manager's too",
};

/** The words of a file's text, names of several being taken apart. Paths of imports say nothing of it. */
function wordsOf(text: string): string[] {
  const own = text.replaceAll(/(?:from |import |import\()"[^"]+"/g, "");
  return (own.match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g) ?? []).map((word) => word.toLowerCase());
}

Deno.test("no file of the chassis speaks of what only one daemon has to do with", () => {
  const speaking = FILES.filter((file) => file.startsWith("chassis/")).flatMap((file) => {
    const words = wordsOf(readFileSync(join(SOURCE, file), "utf8"));
    const found = [...new Set(words)].filter((word) => DAEMONS_WORDS.test(word));
    return found.length === 0 ? [] : [{ file, found }];
  });
  assert.deepEqual(speaking.filter(({ file }) => CHASSIS_WORDS[file] === undefined), []);
  assert.deepEqual(speaking.map(({ file }) => file).sort(), Object.keys(CHASSIS_WORDS).sort());
});

/** What each program may hold: its own rooms, and those that daemons share. */
const OWN: Readonly<Record<string, RegExp>> = {
  virtlockd: /^(?:base|os|chassis|lockd|etcd\/wire)\//,
  virtstoraged: /^(?:base|os|chassis|storaged)\//,
  "virtlockd-cluster": /^etcd\//,
};

/** Every file that a program holds whose main module imports this one. */
function heldBy(entry: string): Set<string> {
  const held = new Set<string>();
  const waiting = [entry];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (held.has(file)) continue;
    held.add(file);
    waiting.push(...importsOf(file));
  }
  return held;
}

const PROGRAMS = builtPrograms().map(({ name, module }) => ({
  name,
  held: heldBy(module.replace("./src/", "")),
}));

for (const { name, held } of PROGRAMS) {
  Deno.test(`the program ${name} holds its own rooms and those that all share, and nothing else`, () => {
    const own = OWN[name] ?? assert.fail(`Say which rooms are those of ${name}`);
    assert.deepEqual([...held].filter((file) => !own.test(file)), []);
  });
}

/** The packages of npm that each program holds; docs/dependencies.md says what for. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  virtlockd: ["@logtape/logtape", "@noble/hashes/sha2"],
  virtstoraged: ["@logtape/logtape", "@noble/hashes/sha2", "saxes"],
  "virtlockd-cluster": ["@grpc/grpc-js"],
};

for (const { name, held } of PROGRAMS) {
  Deno.test(`the program ${name} holds no other packages than those of the list`, () => {
    const packages = [...held].flatMap((file) => {
      const text = readFileSync(join(SOURCE, file), "utf8");
      return [...text.matchAll(/(?:from |import |import\()"([^."][^"]*)"/g)].map(([, path = ""]) => path);
    });
    const ours = new Set(packages.filter((path) => !path.startsWith("node:")));
    assert.deepEqual([...ours].sort(), PACKAGES[name]);
  });
}

Deno.test("every file of src/ is in a program, but for what chooses one", () => {
  const held = new Set(PROGRAMS.flatMap(({ held }) => [...held]));
  assert.deepEqual(FILES.filter((file) => !held.has(file)), ["chassis/cli/family.ts", "etcd/link/run.ts"]);
});

/** Rooms whose business is the daemon's name: they say what it is, or which command is to be typed. */
const NAMING_ROOMS = ["lockd/identity", "lockd/cli", "storaged/identity", "storaged/cli"];

/** Files beside them whose code has a daemon's name, each with what it is there. */
const NAMING: Readonly<Record<string, string>> = {
  "etcd/link/command_line.ts": "the name of the link's program",
  "lockd/cluster/cluster.ts": "names of a socket and of a file",
  "lockd/cluster/session/entries.ts": "the commands that open a cluster",
  "lockd/cluster/session/session_step.ts": "advice: a command",
  "lockd/cluster/session/lost_reasons.ts": "advice: commands",
  "lockd/cluster/keys/keys.ts": "what the keys in etcd begin with",
  "lockd/cluster/host/services.ts": "advice: a package, and units",
  "lockd/crash/journal_place.ts": "the name of the journal's memory, for whoever looks at descriptors",
  "lockd/crash/store_guard.ts": "advice: a command",
  "lockd/crash/store_limit.ts": "advice: the unit",
  "lockd/daemon/beginning.ts": "its name in the first line of its log; advice: a command",
  "lockd/daemon/daemon.ts": "the server's name in the admin protocol",
  "lockd/handover/check_descriptors.ts": "a server's key in libvirt's document",
  "lockd/handover/re_exec.ts": "what --version of a successor says",
  "lockd/handover/restore.ts": "a server's key in libvirt's document",
  "lockd/handover/snapshot.ts": "a server's key in libvirt's document",
  "lockd/journal/recovery.ts": "advice: a command",
  "lockd/life/take_over.ts": "advice: a command",
  "lockd/lockspace/settler.ts": "advice: a command",
  "lockd/programs/lock_failure.ts": "advice: the configuration file",
  "lockd/restart/check_state.ts": "a server's key in libvirt's document",
  "lockd/restart/document_format.ts": "a server's key in libvirt's document",
  "lockd/restart/read_servers.ts": "a server's key in libvirt's document",
  "lockd/restart/read_state.ts": "a server's key in libvirt's document",
  "lockd/restart/recovered_state.ts": "a server's key in libvirt's document",
  "lockd/restart/state.ts": "a server's key in libvirt's document",
  "lockd/restart/write_state.ts": "a server's key in libvirt's document",
  "lockd/storage/deputy_starter.ts": "a socket's name",
  "lockd/cluster/fencing/fencing_log.ts": "advice: a command",
  "lockd/cluster/reboot/reboot_trust.ts": "advice: a command",
  "lockd/storage/helper_main.ts": "the name of a helper's thread",
  "lockd/storage/owner_record.ts": "what a lock file begins with that other hosts read",
  "storaged/daemon/storage_daemon.ts": "advice: a command",
  "storaged/pools/host_tag.ts": "part of what makes this host's tag its own",
  "storaged/volumes/new_file.ts": "the names of files that are being made",
  "storaged/volumes/upload_mark.ts": "the name of an attribute of files",
};

Deno.test("a daemon's name stands in few files, and only in its own", () => {
  const naming = FILES.filter((file) => {
    // What a comment says is not what the program does.
    const code = readFileSync(join(SOURCE, file), "utf8").replace(
      /\/\*\*?\s[^]*?\*\/|(?<=^|\s)\/\/ .*/gm,
      "",
    );
    return /virtlockd|virtstoraged/i.test(code.replace(/\bVIRTLOCKD\b|\bVIRTSTORAGED\b/g, ""));
  });
  assert.deepEqual(
    naming.filter((file) => !NAMING_ROOMS.includes(roomOf(file))).sort(),
    Object.keys(NAMING).sort(),
  );
});
