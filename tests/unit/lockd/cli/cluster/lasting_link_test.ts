import assert from "node:assert/strict";
import { CommandError, CommandExit } from "../../../../../src/chassis/cli/command.ts";
import { LastingLink } from "../../../../../src/lockd/cli/cluster/lasting_link.ts";

const QUESTION = { kind: "versions" } as const;
const ANSWER = { kind: "versions", members: [] } as const;

/** Links that the test lets end. */
class Stage implements Disposable {
  readonly did: string[] = [];
  ended = false;
  closed = false;
  #opened = 0;
  readonly link = new LastingLink({
    open: () => {
      if (this.closed) throw new CommandError(CommandExit.UNREACHABLE, "nobody listens");
      const number = ++this.#opened;
      this.did.push(`open ${number}`);
      return {
        ask: () => {
          if (this.ended) throw new CommandError(CommandExit.UNREACHABLE, "it has ended");
          return ANSWER;
        },
        [Symbol.dispose]: () => void this.did.push(`close ${number}`),
      };
    },
    pause: (milliseconds) => void this.did.push(`pause ${milliseconds}`),
    clock: () => 7,
  });

  [Symbol.dispose](): void {
    this.link[Symbol.dispose]();
  }
}

Deno.test("a link is begun with the first question, and kept", () => {
  const stage = new Stage();
  {
    using _ = stage;
    assert.deepEqual(stage.did, []);
    assert.deepEqual(stage.link.ask(QUESTION, 1), ANSWER);
    assert.deepEqual(stage.link.ask(QUESTION, 1), ANSWER);
    stage.link.pause(5);
    assert.equal(stage.link.now, 7);
  }
  assert.deepEqual(stage.did, ["open 1", "pause 5", "close 1"]);
});

Deno.test("one that has ended is begun anew for the next question, and what was asked of it is not asked again", () => {
  using stage = new Stage();
  stage.link.ask(QUESTION, 1);
  stage.ended = true;
  assert.throws(() => stage.link.ask(QUESTION, 1), /it has ended/);
  assert.deepEqual(stage.did, ["open 1", "close 1"]);
  stage.closed = true;
  assert.throws(() => stage.link.ask(QUESTION, 1), /nobody listens/);
  stage.closed = false;
  stage.ended = false;
  assert.deepEqual(stage.link.ask(QUESTION, 1), ANSWER);
  assert.deepEqual(stage.did, ["open 1", "close 1", "open 2"]);
});
