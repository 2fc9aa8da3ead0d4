import assert from "node:assert/strict";
import { EAGAIN } from "../../../../src/os/errno.ts";
import { storageSys } from "../../../../src/os/storage_sys.ts";
import {
  NewFile,
  type NewFileSys,
  removeLeft,
  reservedName,
} from "../../../../src/storaged/volumes/new_file.ts";
import { atPlace, type OpenPlace } from "../../../../src/storaged/volumes/place.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

const STORAGE = storageSys();
const HOST = "host";

/** A directory with a reserved name, and a refresh that removes what a crash has left in it. */
class Stage implements Disposable {
  readonly #scratch = new Scratch();
  readonly reserved = reservedName(HOST);

  inPlace<Result>(work: (place: OpenPlace) => Result): Result {
    const place = { path: this.#scratch.path, identity: undefined };
    const result = atPlace(kernel, STORAGE, place, work);
    assert.ok(result.kind === "done");
    return result.value;
  }

  /** As a refresh does that has read the name before. */
  refresh(sys: NewFileSys = kernel): string[] {
    return this.inPlace((place) => removeLeft(sys, STORAGE, place, [this.reserved], HOST));
  }

  /** Makes a volume. */
  make(sys: NewFileSys): void {
    this.inPlace((place) => new NewFile(sys, STORAGE, place, this.reserved, "/p/v").publish("v"));
  }

  get names(): string[] {
    return [...Deno.readDirSync(this.#scratch.path)].map(({ name }) => name);
  }

  file(name: string): string {
    return this.#scratch.file(name);
  }

  [Symbol.dispose](): void {
    this.#scratch[Symbol.dispose]();
  }
}

Deno.test("a volume is made though a refresh removes its file before it is locked", () => {
  using stage = new Stage();
  const removed: string[][] = [];
  stage.make({
    ...kernel,
    ofdLock(fd, ...lock) {
      if (removed.length < 2) removed.push(stage.refresh());
      return kernel.ofdLock(fd, ...lock);
    },
  });
  assert.deepEqual(removed, [[stage.reserved], [stage.reserved]]);
  assert.deepEqual(stage.names, ["v"]);
});

Deno.test("a volume is made though a refresh has the lock of its file first", () => {
  using stage = new Stage();
  const path = stage.file(stage.reserved);
  const results: number[] = [];
  let refreshing: (() => void) | undefined;
  stage.make({
    ...kernel,
    ofdLock(fd, type, start, length) {
      if (results.length === 0) {
        const found = kernel.open(path, 2, 0);
        assert.equal(kernel.ofdLock(found, type, start, length), 0);
        refreshing = () => {
          kernel.unlink(path);
          kernel.close(found);
        };
      }
      results.push(kernel.ofdLock(fd, type, start, length));
      return results.at(-1) ?? 0;
    },
    pollReadable() {
      refreshing?.();
      refreshing = undefined;
      return 0;
    },
  });
  // It was looked for again, was gone, and was made again.
  assert.deepEqual(results, [-EAGAIN, 0, 0]);
  assert.deepEqual(stage.names, ["v"]);
});

Deno.test("a refresh removes no file that was made in the place of the one that it has locked", () => {
  using stage = new Stage();
  const path = stage.file(stage.reserved);
  Deno.writeTextFileSync(path, "left");
  const removed = stage.refresh({
    ...kernel,
    ofdLock(fd, ...lock) {
      Deno.removeSync(path);
      Deno.writeTextFileSync(path, "made again");
      return kernel.ofdLock(fd, ...lock);
    },
  });
  assert.deepEqual(removed, []);
  assert.equal(Deno.readTextFileSync(path), "made again");
});

Deno.test("a refresh leaves a file whose maker has its lock, and removes it when that has gone", () => {
  using stage = new Stage();
  stage.inPlace((place) => {
    const file = new NewFile(kernel, STORAGE, place, stage.reserved, "/p/v");
    assert.deepEqual(stage.refresh(), []);
    kernel.close(file.fd);
  });
  assert.deepEqual(stage.refresh(), [stage.reserved]);
  assert.deepEqual(stage.names, []);
});
