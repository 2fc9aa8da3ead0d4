import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { RpcFailure } from "../../../../src/chassis/wire/rpc_error.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { storageSys } from "../../../../src/os/storage_sys.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { NO_SIZES } from "../../../../src/storaged/model/pool_definition.ts";
import { PoolFiles } from "../../../../src/storaged/pools/pool_files.ts";
import { parsePool, parsePoolState } from "../../../../src/storaged/xml/pool_xml.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

const UUID = "c9a81ae0-5d4b-4f3e-8d4c-0123456789ab";

function definition(name: string) {
  return parsePool(
    `<pool type='dir'><name>${name}</name><uuid>${UUID}</uuid><target><path>/pool</path></target></pool>`,
  );
}

/** The files of pools in a directory of the test's own. */
class Stage extends Scratch {
  readonly directories = {
    config: this.file("config/storage"),
    autostart: this.file("config/storage/autostart"),
    state: this.file("run"),
  };

  files(sys: Sys = kernel): PoolFiles {
    const ledger = new DescriptorLedger(kernel);
    return new PoolFiles({ sys, storage: storageSys(), ledger, directories: this.directories });
  }
}

/** A kernel of which one call fails. */
function failing(call: "fsync" | "write" | "rename", errno: number): Sys {
  return { ...kernel, [call]: () => -errno };
}

function names(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
}

Deno.test("a definition is written for its owner alone, is read again, and is removed with its link", () => {
  using stage = new Stage();
  const files = stage.files();
  files.saveConfig(definition("one"));
  const path = `${stage.directories.config}/one.xml`;
  assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
  const [document, ...others] = files.configs(() => assert.fail("it cannot be read"));
  assert.deepEqual([document?.path, document?.name, others], [path, "one", []]);
  assert.deepEqual(parsePool(document?.text ?? ""), definition("one"));
  files.setAutostart("one", true);
  assert.equal(files.isAutostart("one"), true);
  assert.equal(Deno.readLinkSync(`${stage.directories.autostart}/one.xml`), path);
  files.removeConfig("one");
  assert.equal(files.isAutostart("one"), false);
  assert.deepEqual([names(stage.directories.config), names(stage.directories.autostart)], [
    ["autostart"],
    [],
  ]);
});

Deno.test("a link counts that libvirt or an administrator has made, and no other one", () => {
  using stage = new Stage();
  const files = stage.files();
  files.saveConfig(definition("one"));
  Deno.mkdirSync(stage.directories.autostart);
  const link = `${stage.directories.autostart}/one.xml`;
  for (const [target, counts] of [["../one.xml", false], ["/elsewhere/one.xml", false]] as const) {
    Deno.symlinkSync(target, link);
    assert.equal(files.isAutostart("one"), counts, target);
    Deno.removeSync(link);
  }
  files.setAutostart("one", false);
  Deno.writeTextFileSync(link, "");
  assert.equal(files.isAutostart("one"), false);
  assert.throws(() => files.setAutostart("one", true), /^RpcFailure.*Failed to create symlink|File exists/s);
});

Deno.test("what is up is written down and removed", () => {
  using stage = new Stage();
  const files = stage.files();
  assert.equal(files.acquire(1), undefined);
  files.saveState(definition("one"), { capacity: 10n, allocation: 4n, available: 6n });
  const [document] = files.states(() => assert.fail("it cannot be read"));
  assert.equal(document?.name, "one");
  assert.equal(parsePoolState(document?.text ?? "").uuid, UUID);
  files.removeState("one");
  files.removeState("one");
  assert.deepEqual(files.states(() => assert.fail("it cannot be read")), []);
  files.release();
  assert.equal(existsSync(`${stage.directories.state}/driver.pid`), false);
});

Deno.test("a file that cannot be written leaves the old one", () => {
  using stage = new Stage();
  stage.files().saveConfig(definition("one"));
  const path = `${stage.directories.config}/one.xml`;
  const before = Deno.readTextFileSync(path);
  for (const call of ["write", "fsync", "rename"] as const) {
    assert.throws(
      () => stage.files(failing(call, 28)).saveConfig({ ...definition("one"), copyOnWrite: true }),
      (error) =>
        error instanceof RpcFailure &&
        error.message === `cannot write data to file '${path}': No space left on device`,
    );
    assert.equal(Deno.readTextFileSync(path), before);
    assert.deepEqual(names(stage.directories.config), ["one.xml"]);
  }
});

Deno.test("a file is never written through a link that somebody has put into its place", () => {
  using stage = new Stage();
  const files = stage.files();
  files.saveConfig(definition("one"));
  const victim = stage.write("victim", "precious");
  Deno.symlinkSync(victim, `${stage.directories.config}/two.xml.new`);
  assert.throws(() => files.saveConfig(definition("two")), /cannot create file/);
  assert.equal(Deno.readTextFileSync(victim), "precious");
});

Deno.test("what cannot be read is told of, and the others are read", () => {
  using stage = new Stage();
  const files = stage.files();
  files.saveConfig(definition("one"));
  Deno.mkdirSync(`${stage.directories.config}/broken.xml`);
  Deno.writeTextFileSync(`${stage.directories.config}/notes.txt`, "no pool");
  const told: string[] = [];
  assert.deepEqual(files.configs((error) => told.push(error.message)).map(({ name }) => name), ["one"]);
  assert.equal(told.length, 1);
  assert.match(told[0] ?? "", /^Read .*\/broken\.xml: Is a directory/);
  using empty = new Stage();
  assert.deepEqual(empty.files().configs(() => assert.fail("it cannot be read")), []);
});

Deno.test("one daemon has the pools, and says who it is", () => {
  using stage = new Stage();
  const [first, second] = [stage.files(), stage.files()];
  assert.equal(first.acquire(4711), undefined);
  assert.equal(first.acquire(4711), undefined);
  assert.equal(second.acquire(4712), "process 4711");
  first.release();
  assert.equal(second.acquire(4712), undefined);
  assert.equal(Deno.readTextFileSync(`${stage.directories.state}/driver.pid`), "4712");
  second.release();
});

Deno.test("pools start with the host once", () => {
  using stage = new Stage();
  const files = stage.files();
  files.acquire(1);
  assert.deepEqual([files.firstStart(), files.firstStart()], [true, false]);
  files.release();
});

Deno.test("a name that a shell would not take as it is does not get into the file's advice", () => {
  using stage = new Stage();
  const files = stage.files();
  files.acquire(1);
  for (const [name, shown] of [["plain", "plain"], ["a;reboot", UUID], ["a--b", UUID]] as const) {
    files.saveState(definition(name), NO_SIZES);
    const text = Deno.readTextFileSync(`${stage.directories.state}/${name}.xml`);
    assert.ok(text.includes(`virsh pool-edit ${shown}\n`), name);
    assert.equal(parsePoolState(text).name, name);
  }
  files.release();
});
