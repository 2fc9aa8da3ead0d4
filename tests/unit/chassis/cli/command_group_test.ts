import assert from "node:assert/strict";
import type { Command } from "../../../../src/chassis/cli/command.ts";
import { chooseCommand } from "../../../../src/chassis/cli/command_group.ts";
import { UsageError } from "../../../../src/chassis/config/usage_error.ts";

const command = (name: string, purpose: string): Command => ({ name, purpose, options: [], run: () => 0 });
const OPEN = command("door open", "Opens it.");
const SHUT = command("door shut", "Shuts it.");
const DOOR = { name: "door", purpose: "About the door.", commands: [OPEN, SHUT] };

Deno.test("chooseCommand() takes a command that stands alone as it is", () => {
  assert.deepEqual(chooseCommand(OPEN, ["shut"], "house"), {
    kind: "command",
    command: OPEN,
    args: ["shut"],
  });
});

Deno.test("chooseCommand() chooses one of a group by the first argument", () => {
  assert.deepEqual(chooseCommand(DOOR, ["shut", "--json", "open"], "house"), {
    kind: "command",
    command: SHUT,
    args: ["--json", "open"],
  });
});

Deno.test("chooseCommand() says what there is in a group when none of it was named", () => {
  for (
    const [args, message] of [
      [[], "Say what to do: open, shut"],
      [["door"], 'Say what to do: open, shut, got "door"'],
      [["--json", "open"], 'Say what to do: open, shut, got "--json"'],
    ] as const
  ) {
    assert.throws(() => chooseCommand(DOOR, args, "house"), new UsageError(message));
  }
});

Deno.test("chooseCommand() has a text that lists a group", () => {
  assert.deepEqual(chooseCommand(DOOR, ["--help"], "house"), {
    kind: "help",
    text: `Usage: house door COMMAND [OPTION]...

About the door.

  door open  Opens it.
  door shut  Shuts it.

Each has a --help of its own.
`,
  });
});
