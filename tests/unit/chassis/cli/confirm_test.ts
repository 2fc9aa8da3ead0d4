import assert from "node:assert/strict";
import { confirm } from "../../../../src/chassis/cli/confirm.ts";

/** What comes of a question that is answered so, and what was shown where. */
function asked(answer: string | undefined, isTerminal = true): { outcome: string; shown: string[] } {
  const shown: string[] = [];
  const sys = {
    write: (fd: number, bytes: Uint8Array) => {
      shown.push(`${fd} ${new TextDecoder().decode(bytes)}`);
      return bytes.length;
    },
    read: (fd: number, into: Uint8Array) => {
      assert.equal(fd, 0);
      return answer === undefined ? 0 : new TextEncoder().encodeInto(answer, into).written;
    },
  };
  return { outcome: confirm(sys, isTerminal, "Sure? "), shown };
}

Deno.test("confirm() takes yes alone for a yes", () => {
  assert.deepEqual(asked("yes\n"), { outcome: "yes", shown: ["2 Sure? "] });
  for (const answer of ["y\n", "no\n", "\n", undefined, "yes please\n"]) {
    assert.equal(asked(answer).outcome, "no");
  }
});

Deno.test("confirm() asks nobody where there is no terminal", () => {
  assert.deepEqual(asked("yes\n", false), { outcome: "nobody", shown: [] });
});
