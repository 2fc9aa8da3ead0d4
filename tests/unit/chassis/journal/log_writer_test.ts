import assert from "node:assert/strict";
import { LogWriter } from "../../../../src/chassis/journal/log_writer.ts";
import { EIO, ENOSPC } from "../../../../src/os/errno.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { KeptLog } from "../../lockd/journal/kept_log.ts";

/** A writer whose log is a list of what it was told, and a loop that runs what it has when it is asked to. */
class Stage {
  readonly told: string[] = [];
  readonly logger = new KeptLog();
  readonly deferred: (() => void)[] = [];
  readonly timers: { readonly milliseconds: number; readonly task: () => void }[] = [];
  /** What looks again; undefined while all is whole. */
  again: (() => void)[] | undefined;
  errno = 0;
  readonly log = {
    overgrown: false,
    append: (operations: readonly string[]) => this.#tell(`append ${operations.join()}`),
    rewrite: (operations: Iterable<string>) => this.#tell(`rewrite ${[...operations].join()}`),
    fallBehind: () => void this.told.push("fall behind"),
  };
  readonly writer = new LogWriter<string>({
    log: this.log,
    logger: this.logger,
    loop: {
      defer: (task) => void this.deferred.push(task),
      after: (milliseconds, task) => {
        this.timers.push({ milliseconds, task });
        return { due: 0, cancel: () => {} };
      },
    },
    isWhole: (again) => {
      this.again?.push(again);
      return this.again === undefined;
    },
  });

  begin(): void {
    this.writer.begin({ exchange: { promiseReply: () => 1 }, snapshot: () => ["all"] });
  }

  /** The deferred tasks of one turn. */
  turn(): void {
    for (const task of this.deferred.splice(0)) task();
  }

  #tell(what: string): void {
    if (this.errno !== 0) throw new SystemError("pwrite", "journal", -this.errno);
    this.told.push(what);
  }
}

Deno.test("LogWriter records nothing before it begins, then its snapshot, then what is committed", () => {
  const stage = new Stage();
  const { writer } = stage;
  assert.deepEqual([writer.kind, writer.records, writer.recording], ["idle", false, undefined]);
  writer.commit([]);
  assert.throws(() => writer.commit(["early"]), /Something is committed before the log has begun/);
  stage.begin();
  writer.commit(["a", "b"]);
  assert.deepEqual(stage.told, ["rewrite all", "append a,b"]);
  assert.deepEqual([writer.kind, writer.records, writer.trouble], ["recording", true, undefined]);
});

Deno.test("LogWriter.leave() empties the log, and nothing is recorded until it begins again", () => {
  const stage = new Stage();
  stage.writer.leave();
  assert.equal(stage.writer.kind, "idle");
  stage.begin();
  stage.writer.leave();
  stage.writer.commit(["a"]);
  stage.writer.rewrite();
  assert.deepEqual(stage.told, ["rewrite all", "rewrite "]);
  assert.deepEqual([stage.writer.kind, stage.writer.records], ["left", false]);
  stage.begin();
  assert.deepEqual(stage.told, ["rewrite all", "rewrite ", "rewrite all"]);
});

Deno.test("LogWriter writes an overgrown log anew once, at the end of the turn", () => {
  const stage = new Stage();
  stage.begin();
  stage.log.overgrown = true;
  stage.writer.commit(["a"]);
  stage.writer.commit(["b"]);
  assert.deepEqual(stage.told, ["rewrite all", "append a", "append b"]);
  stage.log.overgrown = false;
  stage.turn();
  assert.deepEqual(stage.told.slice(3), ["rewrite all"]);
  assert.deepEqual([stage.deferred, stage.timers], [[], []]);
});

Deno.test("LogWriter waits with that until everything is stored, and looks then whether it is still needed", () => {
  const stage = new Stage();
  stage.begin();
  stage.log.overgrown = true;
  stage.again = [];
  stage.writer.commit(["a"]);
  stage.turn();
  assert.deepEqual([stage.told, stage.again.length], [["rewrite all", "append a"], 1]);
  const [again] = stage.again;
  stage.again = undefined;
  again?.();
  stage.turn();
  assert.deepEqual(stage.told.slice(2), ["rewrite all"]);
  stage.log.overgrown = false;
  again?.();
  assert.deepEqual(stage.deferred, []);
});

Deno.test("LogWriter says once that there is no memory, and has everything when it has worked again", () => {
  const stage = new Stage();
  stage.begin();
  stage.errno = ENOSPC;
  stage.writer.commit(["a"]);
  assert.deepEqual([stage.writer.kind, stage.writer.records], ["failed", true]);
  assert.match(stage.writer.trouble ?? "", /ENOSPC/);
  assert.deepEqual(stage.timers.map(({ milliseconds }) => milliseconds), [1000]);
  // Nothing more is tried before the second is over.
  stage.writer.commit(["b"]);
  assert.deepEqual([stage.told, stage.timers.length], [["rewrite all", "fall behind"], 1]);
  stage.errno = EIO;
  stage.timers.shift()?.task();
  assert.match(stage.writer.trouble ?? "", /EIO/);
  // It is tried on, although nothing more happens.
  assert.deepEqual(stage.timers.map(({ milliseconds }) => milliseconds), [1000]);
  stage.errno = 0;
  stage.timers.shift()?.task();
  assert.deepEqual([stage.told.slice(2), stage.writer.trouble], [["rewrite all"], undefined]);
  assert.deepEqual(stage.timers, []);
  assert.deepEqual(stage.logger.lines.map((line) => line.split(":")[0]), ["error", "warning"]);
  assert.equal(stage.logger.lines[1], "warning: The journal works again");
});

Deno.test("LogWriter tries on while something is not stored yet, once for each look", () => {
  const stage = new Stage();
  stage.begin();
  stage.errno = ENOSPC;
  stage.writer.commit(["a"]);
  stage.again = [];
  stage.timers.shift()?.task();
  // What waits for the store finds the next try under way.
  stage.again[0]?.();
  assert.deepEqual([stage.told, stage.timers.length], [["rewrite all", "fall behind"], 1]);
  stage.again = undefined;
  stage.errno = 0;
  stage.timers.shift()?.task();
  assert.deepEqual([stage.told.slice(2), stage.timers], [["rewrite all"], []]);
});

Deno.test("LogWriter takes no other failure than the kernel's for a lack of memory", () => {
  const stage = new Stage();
  stage.begin();
  stage.log.append = () => {
    throw new TypeError("not foreseen");
  };
  assert.throws(() => stage.writer.commit(["a"]), /not foreseen/);
});

Deno.test("LogWriter tries again by itself when there was no memory at its very beginning", () => {
  const stage = new Stage();
  stage.errno = ENOSPC;
  stage.begin();
  assert.equal(stage.writer.trouble, "pwrite journal: No space left on device (ENOSPC)");
  assert.deepEqual(stage.timers.map(({ milliseconds }) => milliseconds), [1000]);
  stage.errno = 0;
  stage.timers[0]?.task();
  assert.deepEqual([stage.writer.trouble, stage.told], [undefined, ["fall behind", "rewrite all"]]);
  assert.equal(stage.timers.length, 1);
});
