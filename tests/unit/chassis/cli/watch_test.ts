import assert from "node:assert/strict";
import { watch } from "../../../../src/chassis/cli/watch.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { context } from "../../lockd/cli/cli_fixture.ts";

const PIPE = 0o010600;
const TERMINAL = 0o020600;

/**
 * Watches these texts until the reader goes away after the last; what was polled for how long, and what was
 * written.
 */
function watched(
  texts: string[],
  terminal: boolean,
): { polls: [number, number][]; text: string; code: number } {
  const polls: [number, number][] = [];
  const sys = {
    ...linuxSys(),
    fstat: (_fd: number, into: { mode: number }) => {
      into.mode = terminal ? TERMINAL : PIPE;
      return 0;
    },
    pollReadable: (fd: number, timeout: number) => {
      polls.push([fd, timeout]);
      return polls.length === texts.length ? 1 : 0;
    },
  };
  const told = context(sys, { now: () => 5 });
  let at = 0;
  const code = watch(told, (now) => texts[at++]?.replace("NOW", String(now)) ?? "");
  return { polls, text: told.out.text, code };
}

Deno.test("watch() writes what is new, and nothing where nothing is", () => {
  const { text, code } = watched(["a NOW\n", "", "b NOW\n", "", ""], false);
  assert.equal(text, "a 5\nb 5\n");
  assert.equal(code, 0);
  assert.equal(watched(["a\n", "b\n"], true).text, "a\nb\n");
});

Deno.test("watch() looks once a second, and on a pipe whether somebody still reads", () => {
  assert.deepEqual(watched(["a", "a"], false).polls, [[1, 1000], [1, 1000]]);
  assert.deepEqual(watched(["a", "a"], true).polls, [[-1, 1000], [-1, 1000]]);
});
