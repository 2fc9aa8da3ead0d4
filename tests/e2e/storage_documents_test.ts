import assert from "node:assert/strict";
import { NO_SIZES, type PoolDefinition } from "../../src/storaged/model/pool_definition.ts";
import type { VolumeDefinition } from "../../src/storaged/model/volume_definition.ts";
import { mountArguments } from "../../src/storaged/backends/mount.ts";
import { createCommands } from "../../src/storaged/volumes/qemu_img.ts";
import { formatPool, parsePool } from "../../src/storaged/xml/pool_xml.ts";
import { type CapacityRule, formatVolume, parseVolume } from "../../src/storaged/xml/volume_xml.ts";
import { libvirtSource } from "./support/libvirt_source.ts";

// The documents and command lines of libvirt's own tests, from the source package of this host's Debian. What
// the tests are is read from their sources, so that those of another version are found too.

const TESTS = `${await libvirtSource()}/tests`;

/** Cases that are not as in libvirt, each with its reason. */
const DIFFERENT: Readonly<Record<string, string>> = {};

function read(path: string): string {
  return Deno.readTextFileSync(`${TESTS}/${path}`);
}

/** The arguments of each call of a macro in a C file, those of DO_TEST_FULL and the like with their name. */
function calls(file: string): { macro: string; args: string[] }[] {
  const text = read(file);
  // The definitions of the macros end where they are used first.
  const begin = text.search(/^ {4}DO_TEST\w*\((?:\w+, \w+,\s*)?"/m);
  return [...text.slice(begin).matchAll(/\b(DO_TEST\w*)\(([^;]*?)\);/g)].map(([, macro = "", args = ""]) => ({
    macro,
    args: args.split(",").map((each) => each.trim().replaceAll('"', "")),
  }));
}

function same(name: string, actual: string, expected: string): void {
  if (name in DIFFERENT) assert.notEqual(actual, expected, `${name} is as in libvirt now`);
  else assert.equal(actual, expected, name);
}

Deno.test("the pools of libvirt's tests are read, and written as there", () => {
  const cases = calls("storagepoolxml2xmltest.c").map(({ args: [name = ""] }) => name);
  for (const name of cases) {
    const written = formatPool(parsePool(read(`storagepoolxml2xmlin/${name}.xml`)), NO_SIZES);
    same(name, written, read(`storagepoolxml2xmlout/${name}.xml`));
  }
  assert.ok(cases.length >= 38, `${cases.length} pools`);
});

function pool(name: string): PoolDefinition {
  return parsePool(read(`storagepoolxml2xmlin/${name}.xml`));
}

Deno.test("the volumes of libvirt's tests are read, and written as there", () => {
  const cases = calls("storagevolxml2xmltest.c");
  for (const { args: [poolName = "", name = "", flags = "0"] } of cases) {
    const definition = pool(poolName);
    const rule: CapacityRule = flags.includes("NO_CAPACITY") ? "optional" : "required";
    const volume = parseVolume(definition, read(`storagevolxml2xmlin/${name}.xml`), rule);
    same(name, formatVolume(definition, volume), read(`storagevolxml2xmlout/${name}.xml`));
  }
  assert.ok(cases.length >= 20, `${cases.length} volumes`);
});

/** A volume as a pool of that type has it. */
function volume(poolName: string, name: string, rule: CapacityRule): VolumeDefinition {
  const definition = pool(poolName);
  const parsed = parseVolume(definition, read(`storagevolxml2xmlin/${name}.xml`), rule);
  const blocks = ["disk", "logical", "iscsi", "scsi", "mpath"].includes(definition.type);
  return blocks ? { ...parsed, type: "block" } : parsed;
}

/** The lines of a file of arguments, each with its continuations. */
function commandLines(path: string): string[] {
  return read(path).replaceAll("\\\n", "").trim().split("\n");
}

Deno.test("qemu-img is called as in libvirt's tests", () => {
  const cases = calls("storagevolxml2argvtest.c");
  for (const { macro, args } of cases) {
    const full = macro === "DO_TEST_FULL";
    const [poolName = "", name = "", fromPool = "", from = "", line = "", flags = ""] = full
      ? args.slice(2)
      : args;
    const cloned = from !== "NULL";
    const rule = cloned ? "optional" : full ? "optional-with-backing" : "required";
    const input = cloned
      ? {
        volume: volume(fromPool, from, "required"),
        secretFile: "/path/to/inputSecretFile",
        backingSaid: false,
      }
      : undefined;
    const make = () =>
      createCommands({
        volume: volume(poolName, name, rule),
        input,
        secretFile: "/path/to/secretFile",
        preallocateMetadata: flags === "flags",
      });
    if (macro === "DO_TEST_FAIL") {
      assert.throws(make, /not supported/, line);
      continue;
    }
    const made = make().map((each) => ["qemu-img", ...each].join(" "));
    const expected = commandLines(`storagevolxml2argvdata/${line}.argv`).join("\n");
    const named = volume(poolName, name, rule).compat !== undefined;
    // libvirt 9 makes images of version 0.10 where none is named, libvirt 11 and this daemon 1.1.
    same(line, made.join("\n"), named ? expected : expected.replace("compat=0.10", "compat=1.1"));
  }
  assert.ok(cases.length >= 27, `${cases.length} command lines`);
});

Deno.test("mount is called as in libvirt's tests", () => {
  const cases = calls("storagepoolxml2argvtest.c").filter(({ macro, args: [name = ""] }) =>
    macro !== "DO_TEST_FAIL" && /^pool-(?:fs|netfs)/.test(name)
  );
  for (const { macro, args: [name = ""] } of cases) {
    // The options of other systems than Linux have files of their own.
    const suffix = macro === "DO_TEST_PLATFORM" ? "-linux" : "";
    const [line = ""] = commandLines(`storagepoolxml2argvdata/${name}${suffix}.argv`);
    same(name, ["mount", ...mountArguments(pool(name))].join(" "), line);
  }
  assert.ok(cases.length >= 7, `${cases.length} mounts`);
});
