import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { SOCK_STREAM } from "../../../../src/os/constants.ts";
import { storageSys } from "../../../../src/os/storage_sys.ts";
import { listPlace } from "../../../../src/storaged/operations/listing.ts";
import { atPlace, type OpenPlace } from "../../../../src/storaged/volumes/place.ts";
import { VolumeReader } from "../../../../src/storaged/volumes/volume_reader.ts";
import { VolumeRows } from "../../../../src/storaged/volumes/volume_rows.ts";
import type { WorkContext } from "../../../../src/storaged/work/operation.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

const STORAGE = storageSys();

/** What an operation may use, in this process. */
function context(batch: (bytes: Uint8Array) => void): WorkContext {
  return {
    sys: kernel,
    descriptors: [],
    batch,
    progress() {},
    alive() {},
    checkpoint() {},
    run() {
      throw new Error("A list runs no program");
    },
  };
}

function inPlace<Result>(path: string, work: (place: OpenPlace) => Result): Result {
  const result = atPlace(kernel, STORAGE, { path, identity: undefined }, work);
  assert.ok(result.kind === "done");
  return result.value;
}

/** The list of a directory as the daemon gets it. */
function list(path: string, storage = STORAGE) {
  const rows = new VolumeRows(path);
  const listing = inPlace(
    path,
    (place) => listPlace(context((bytes) => rows.add(bytes.slice())), storage, place, "host"),
  );
  return { rows, listing };
}

/** An image with a mark at its beginning. */
function image(mark: string, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let index = 0; index < mark.length; index++) bytes[index] = mark.charCodeAt(index);
  return bytes;
}

Deno.test("a list has what a directory has, and what each file is", () => {
  using scratch = new Scratch();
  Deno.writeFileSync(scratch.file("raw"), image("data", 5000));
  Deno.writeFileSync(scratch.file("tiny"), image("x", 1));
  Deno.writeFileSync(scratch.file("empty"), new Uint8Array());
  const iso = new Uint8Array(40_000);
  iso.set(new TextEncoder().encode("CD001"), 32769);
  Deno.writeFileSync(scratch.file("iso"), iso);
  Deno.mkdirSync(scratch.file("folder"));
  execFileSync("mkfifo", [scratch.file("fifo")]);
  Deno.symlinkSync("nowhere", scratch.file("dangling"));
  Deno.symlinkSync("raw", scratch.file("link"));
  Deno.writeFileSync(scratch.file("two\nlines"), new Uint8Array());
  // No XML can have the name.
  Deno.writeFileSync(scratch.file("a\x07bell"), new Uint8Array());
  Deno.writeFileSync(scratch.file(".hidden"), image("x", 3));
  Deno.writeFileSync(scratch.file("..."), image("x", 4));
  const { rows } = list(scratch.path);
  assert.deepEqual(
    Object.fromEntries(
      [...rows.names].sort().map((name) => {
        const found = rows.find(name);
        return [name, [found?.type, found?.format, found?.capacity]];
      }),
    ),
    {
      "...": ["file", "raw", 4n],
      ".hidden": ["file", "raw", 3n],
      empty: ["file", "raw", 0n],
      folder: ["dir", "dir", 0n],
      iso: ["file", "iso", 40000n],
      link: ["file", "raw", 5000n],
      raw: ["file", "raw", 5000n],
      tiny: ["file", "raw", 1n],
      "two\nlines": ["file", "raw", 0n],
    },
  );
});

Deno.test("a list opens no FIFO and no socket, whose other end would notice", () => {
  using scratch = new Scratch();
  scratch.write("raw");
  execFileSync("mkfifo", [scratch.file("fifo")]);
  const socket = kernel.socket(SOCK_STREAM, true);
  assert.equal(kernel.bind(socket, scratch.file("socket")), 0);
  const opened: string[] = [];
  const storage = new Proxy(STORAGE, {
    get: (real, key) => {
      const member: unknown = Reflect.get(real, key);
      return typeof member !== "function" ? member : (...args: unknown[]): unknown => {
        if (key === "openIn") opened.push(new TextDecoder().decode(args[1] as Uint8Array));
        return member.apply(real, args);
      };
    },
  });
  assert.deepEqual([...list(scratch.path, storage).rows.names], ["raw"]);
  assert.deepEqual(opened, ["raw\0"]);
  kernel.close(socket);
});

Deno.test("the list and a look at one volume say the same", () => {
  using scratch = new Scratch();
  const make = (...args: string[]) =>
    execFileSync("qemu-img", ["create", "-q", ...args], { cwd: scratch.path });
  make("-f", "qcow2", "base", "3M");
  for (const name of ["a", "b"]) make("-f", "qcow2", "-b", "base", "-F", "qcow2", name, "5M");
  // Its name reaches behind the bytes that are read first.
  const far = `${"d/../".repeat(190)}base`;
  make("-f", "qcow2", "-u", "-b", far, "-F", "qcow2", "far", "6M");
  Deno.mkdirSync(scratch.file("d"));
  make("-f", "vmdk", "other", "4M");
  // Reading a file may change when it was read last, the first time.
  list(scratch.path);
  const { rows } = list(scratch.path);
  const seen = [...rows.names].sort();
  assert.deepEqual(seen, ["a", "b", "base", "d", "far", "other"]);
  inPlace(scratch.path, (place) => {
    for (const name of seen) {
      const one = new VolumeReader(kernel, STORAGE).read(place, name);
      assert.deepEqual(JSON.stringify(rows.find(name), sizes), JSON.stringify(one, sizes), name);
    }
  });
  assert.equal(rows.find("a")?.capacity, 5242880n);
  assert.equal(rows.find("b")?.backing?.path, scratch.file("base"));
  assert.equal(rows.find("b")?.backing?.format, "qcow2");
  assert.equal(rows.find("far")?.backing?.path, scratch.file(far));
  assert.equal(rows.find("far")?.capacity, 6291456n);
  assert.equal(rows.find("other")?.format, "vmdk");
});

function sizes(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

Deno.test("what a crash left of a new volume is removed and told, and no list shows it", () => {
  using scratch = new Scratch();
  scratch.write(".virtstoraged-new-host-1");
  scratch.write(".virtstoraged-new-other-1");
  scratch.write("whole");
  const { rows, listing } = list(scratch.path);
  assert.deepEqual([...rows.names], ["whole"]);
  assert.deepEqual(listing.removed, [".virtstoraged-new-host-1"]);
  assert.deepEqual([...Deno.readDirSync(scratch.path)].map(({ name }) => name).sort(), [
    ".virtstoraged-new-other-1",
    "whole",
  ]);
});

Deno.test("a name that is not UTF-8 is listed, and its volume found by it", () => {
  using scratch = new Scratch();
  execFileSync("sh", ["-c", `printf x >"$1/$(printf 'n\\377')"`, "sh", scratch.path]);
  const { rows } = list(scratch.path);
  assert.deepEqual([...rows.names], ["n\udcff"]);
  assert.equal(rows.find("n\udcff")?.capacity, 1n);
});

Deno.test("a list leaves no descriptor open", () => {
  using scratch = new Scratch();
  for (let index = 0; index < 20; index++) scratch.write(`v${index}`, "x");
  const before = openDescriptors();
  assert.equal(list(scratch.path).rows.size, 20);
  assert.deepEqual(openedSince(before), []);
});
