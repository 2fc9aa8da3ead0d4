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
  const told = context(sys, { terminal, now: () => 5 });
  let at = 0;
  const code = watch(told, (now) => `at ${now}: `, () => texts[at++] ?? "");
  return { polls, text: told.out.text, code };
}

Deno.test("watch() writes a text again only when it has changed", () => {
  const { text, code } = watched(["a\n", "a\n", "b\n", "b\n", "a\n"], false);
  assert.equal(text, "at 5: a\nat 5: b\nat 5: a\n");
  assert.equal(code, 0);
});

Deno.test("watch() clears a terminal before each text", () => {
  assert.equal(watched(["a\n", "b\n"], true).text, "\x1b[H\x1b[2Jat 5: a\n\x1b[H\x1b[2Jat 5: b\n");
});

Deno.test("watch() looks once a second, and on a pipe whether somebody still reads", () => {
  assert.deepEqual(watched(["a", "a"], false).polls, [[1, 1000], [1, 1000]]);
  assert.deepEqual(watched(["a", "a"], true).polls, [[-1, 1000], [-1, 1000]]);
});
