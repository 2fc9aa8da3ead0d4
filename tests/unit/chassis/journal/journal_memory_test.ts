import assert from "node:assert/strict";
import { SharedMemory } from "../../../../src/chassis/journal/journal_memory.ts";
import { LOG_START } from "../../../../src/chassis/journal/layout.ts";
import { LogFile } from "../../../../src/chassis/journal/log_file.ts";
import { EIO, EMFILE, ENOSPC } from "../../../../src/os/errno.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { emptyStatus } from "../../../../src/os/sys.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { kernel } from "../../../support/kernel.ts";
import { TOY_FORMAT, type ToyOperation } from "./toy_format.ts";

const PAGE = 4096;
const STEP = 256 * 1024;

/** A file in a place that has room for so many bytes, and takes as much of a write as there is room for. */
class SmallPlace implements Disposable {
  readonly fd = kernel.memfd("journal");
  room: number;
  readonly sys: Sys = {
    ...kernel,
    pwrite: (fd, bytes, at) =>
      at >= this.room ? -ENOSPC : kernel.pwrite(fd, bytes.subarray(0, this.room - at), at),
  };

  constructor(room: number) {
    this.room = room;
  }

  /** Bytes of the file. */
  get size(): number {
    const status = emptyStatus();
    assert.equal(kernel.fstat(this.fd, status), 0);
    return status.size;
  }

  memory(sys: Sys = this.sys): SharedMemory {
    return new SharedMemory(sys, this.fd);
  }

  /** Makes a journal in it. @throws SystemError */
  create(): LogFile<ToyOperation> {
    return LogFile.create(this.memory(), TOY_FORMAT);
  }

  /** What another daemon would find in it. */
  values(): string {
    const values: string[] = [];
    const read = LogFile.read(this.memory(kernel), TOY_FORMAT, (operation) => {
      if (operation.op === "set") values.push(`${operation.name[0]}${operation.value}`);
    });
    assert.ok(typeof read !== "string" && read.damage === undefined);
    return values.join();
  }

  [Symbol.dispose](): void {
    kernel.close(this.fd);
  }
}

function isFull(error: unknown): boolean {
  return error instanceof SystemError && error.call === "pwrite" && error.errno === ENOSPC;
}

/** An operation of so many pages, and some bytes. */
function pages(count: number, value: number): ToyOperation {
  return { op: "set", name: "x".repeat(count * PAGE + 1), value };
}

Deno.test("SharedMemory.reserve() takes steps where there is room, and else whole pages that are needed", () => {
  using place = new SmallPlace(STEP + 3 * PAGE);
  const memory = place.memory();
  memory.reserve(1);
  assert.deepEqual([memory.size, place.size], [STEP, STEP]);
  memory.reserve(STEP + PAGE + 1);
  assert.deepEqual([memory.size, place.size], [STEP + 2 * PAGE, STEP + 2 * PAGE]);
  memory.writeWord(STEP + 2 * PAGE - 4, 7);
  assert.equal(memory.readWord(STEP + 2 * PAGE - 4), 7);
});

Deno.test("SharedMemory.reserve() takes all that is needed or nothing", () => {
  using place = new SmallPlace(STEP + 3 * PAGE);
  const memory = place.memory();
  memory.reserve(STEP);
  memory.writeWord(STEP - 4, 7);
  assert.throws(() => memory.reserve(STEP + 4 * PAGE), isFull);
  assert.deepEqual([memory.size, place.size, memory.readWord(STEP - 4)], [STEP, STEP, 7]);
  memory.reserve(STEP + 3 * PAGE);
  assert.equal(place.size, STEP + 3 * PAGE);
});

Deno.test("SharedMemory.reserve() fails where nothing is written, and no reason is told", () => {
  using place = new SmallPlace(STEP);
  const memory = place.memory({ ...place.sys, pwrite: () => 0 });
  assert.throws(() => memory.reserve(1), /pwrite journal: Invalid argument/);
  const broken = place.memory({ ...place.sys, pwrite: () => -EIO });
  assert.throws(() => broken.reserve(1), /pwrite journal: Input\/output error/);
  assert.equal(place.size, 0);
});

Deno.test("SharedMemory.reserve() maps what it has got when it is asked again, if that has failed", () => {
  using place = new SmallPlace(Infinity);
  let failing = false;
  const memory = place.memory({
    ...place.sys,
    map: (fd, length) => failing ? -EMFILE : kernel.map(fd, length),
  });
  const large = 17 * 1024 * 1024;
  failing = true;
  assert.throws(() => memory.reserve(large), /mmap journal/);
  failing = false;
  memory.reserve(large);
  memory.writeWord(large - 4, 7);
  assert.equal(memory.readWord(large - 4), 7);
});

Deno.test("a journal is made whole or not at all, however much room there is", () => {
  for (let room = 0; room <= LOG_START + 2 * PAGE; room += PAGE) {
    using place = new SmallPlace(room);
    if (room < LOG_START + PAGE) {
      assert.throws(() => place.create(), isFull);
      assert.equal(place.size, 0, `room for ${room} bytes`);
    } else {
      place.create();
      assert.equal(place.values(), "");
    }
  }
});

Deno.test("a log that is written anew is the old one or the new one, however much room there is", () => {
  const outcomes: string[] = [];
  for (let more = 0; more <= 20; more++) {
    using place = new SmallPlace(LOG_START + 3 * PAGE);
    const log = place.create();
    log.append([pages(2, 1)]);
    const before = place.size;
    place.room = before + more * PAGE;
    // Two records: the first may find room that the second does not.
    const snapshot = [...Array.from({ length: 256 }, () => pages(0, 2)), pages(3, 3)];
    snapshot[0] = pages(1, 2);
    try {
      log.rewrite(snapshot);
      assert.match(place.values(), /^x2,/);
      outcomes.push("new");
    } catch (error) {
      assert.ok(isFull(error));
      assert.deepEqual([place.values(), place.size], ["x1", before]);
      outcomes.push("old");
      // As soon as there is room it goes on.
      place.room = Infinity;
      log.rewrite([pages(0, 4)]);
      log.append([pages(0, 5)]);
      assert.equal(place.values(), "x4,x5");
    }
  }
  assert.deepEqual(new Set(outcomes), new Set(["old", "new"]));
  assert.equal(outcomes.lastIndexOf("old") < outcomes.indexOf("new"), true);
});

Deno.test("a record takes what is left when its text is no longer than that, and nothing when it is", () => {
  // A text of 5 pages, and what is written around it.
  for (const [free, fits] of [[6, true], [5, false]] as const) {
    using place = new SmallPlace(LOG_START + PAGE);
    const log = place.create();
    place.room = LOG_START + free * PAGE;
    if (fits) {
      log.append([pages(5, 1)]);
      assert.equal(place.values(), "x1");
    } else {
      assert.throws(() => log.append([pages(5, 1)]), isFull);
      assert.deepEqual([place.values(), place.size], ["", LOG_START + PAGE]);
    }
  }
});
