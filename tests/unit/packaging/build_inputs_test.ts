import assert from "node:assert/strict";

const ROOT = new URL("../../../", import.meta.url).pathname;

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

Deno.test("every npm package of deno.lock is an input of a build, with the same hash, and has its copyright told", () => {
  const { npm }: { npm: Record<string, { integrity: string }> } = JSON.parse(
    Deno.readTextFileSync(`${ROOT}deno.lock`),
  );
  for (const [id, { integrity }] of Object.entries(npm)) {
    const at = id.lastIndexOf("@");
    const input = INPUTS.get(id.slice(0, at));
    assert.equal(input?.version, id.slice(at + 1));
    assert.ok(COPYRIGHT.includes(id.slice(0, at)), `${id} is not in the file of copyrights`);
    assert.equal(`sha512-${Uint8Array.fromHex(input?.sum ?? "").toBase64()}`, integrity);
  }
});
