import assert from "node:assert/strict";
import { builtPrograms } from "../../../packaging/contents.ts";

const ROOT = new URL("../../..", import.meta.url).pathname;

/** Lines of packaging/build_inputs.txt by package. */
const INPUTS = new Map(
  Deno.readTextFileSync(`${ROOT}packaging/build_inputs.txt`).trimEnd().split("\n")
    .filter((line) => !line.startsWith("#"))
    .map((line) => {
      const [name = "", version = "", machine = "", sum = ""] = line.split(" ");
      return [name, { version, machine, sum }];
    }),
);

const COPYRIGHT = Deno.readTextFileSync(`${ROOT}packaging/deb/copyright`);

Deno.test("each input of a build has a version, a machine and a SHA-512", () => {
  for (const [name, { version, machine, sum }] of INPUTS) {
    assert.match(version, /^\d+\.\d+\.\d+$/, name);
    assert.match(machine, /^(x86_64|aarch64|any)$/, name);
    assert.match(sum, /^[0-9a-f]{128}$/, name);
  }
});

Deno.test("a build is made with the Deno that the tests run with", () => {
  const version = Deno.readTextFileSync(`${ROOT}.deno-version`).trim();
  assert.equal(Deno.version.deno, version);
  for (const name of ["@deno/linux-x64-glibc", "@deno/linux-arm64-glibc"]) {
    assert.equal(INPUTS.get(name)?.version, version);
  }
});

/** A package as deno.lock has it. */
interface Locked {
  readonly integrity: string;
  /** Names, with a version behind them where there are several. */
  readonly dependencies?: readonly string[];
}

const LOCK: { npm: Record<string, Locked>; workspace: { dependencies: string[] } } = JSON.parse(
  Deno.readTextFileSync(`${ROOT}deno.lock`),
);

/** What no program is bundled with, as packaging/contents.ts says. */
const LEFT_OUT = builtPrograms().flatMap(({ bundling }) =>
  bundling.filter((_, index) => bundling[index - 1] === "--external")
);

/** The packages that become part of a program: those of deno.json, and whatever they need. */
function bundledPackages(): Map<string, Locked> {
  const found = new Map<string, Locked>();
  const waiting = LOCK.workspace.dependencies.map((specifier) => specifier.replace(/^npm:/, ""));
  for (let wanted = waiting.pop(); wanted !== undefined; wanted = waiting.pop()) {
    const [id, locked] = Object.entries(LOCK.npm).find(([id]) => id === wanted || nameOf(id) === wanted) ??
      assert.fail(`deno.lock has no ${wanted}`);
    if (found.has(id) || LEFT_OUT.includes(nameOf(id))) continue;
    found.set(id, locked);
    waiting.push(...locked.dependencies ?? []);
  }
  return found;
}

function nameOf(id: string): string {
  return id.slice(0, id.lastIndexOf("@"));
}

Deno.test("every npm package of a program is an input of a build, with the lock's hash, and has its copyright told", () => {
  const packages = bundledPackages();
  for (const [id, { integrity }] of packages) {
    const input = INPUTS.get(nameOf(id));
    assert.equal(input?.version, id.slice(nameOf(id).length + 1));
    assert.ok(COPYRIGHT.includes(nameOf(id)), `${id} is not in the file of copyrights`);
    assert.equal(`sha512-${Uint8Array.fromHex(input?.sum ?? "").toBase64()}`, integrity);
  }
  const libraries = [...INPUTS].filter(([, { machine }]) => machine === "any").map(([name]) => name);
  assert.deepEqual(libraries.sort(), [...packages.keys()].map(nameOf).sort());
});
