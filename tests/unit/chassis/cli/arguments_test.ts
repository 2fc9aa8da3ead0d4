import assert from "node:assert/strict";
import { helpText, parseArguments } from "../../../../src/chassis/cli/arguments.ts";
import type { Command } from "../../../../src/chassis/cli/command.ts";
import { tokenizerFor } from "../../../../src/chassis/config/option_tokens.ts";
import { UsageError } from "../../../../src/chassis/config/usage_error.ts";

const tokensOf = await tokenizerFor(["--all"]);

const COMMAND: Command = {
  name: "locks",
  purpose: "Does it.",
  options: [
    { name: "connect", short: "c", value: "SOCKET", summary: "ask there" },
    { name: "json", summary: "print JSON" },
  ],
  run: () => 0,
};

function parsed(...args: string[]): unknown {
  const result = parseArguments(COMMAND, args, tokensOf);
  return result === "help" ? result : [result.value("connect"), result.has("json")];
}

function mistake(...args: string[]): string {
  try {
    parseArguments(COMMAND, args, tokensOf);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return "none";
}

Deno.test("parseArguments() takes long and short options, values joined or not, the last one counting", () => {
  assert.deepEqual(parsed(), [undefined, false]);
  assert.deepEqual(parsed("--json", "--connect", "/a"), ["/a", true]);
  assert.deepEqual(parsed("--connect=/a"), ["/a", false]);
  assert.deepEqual(parsed("-c", "/a", "-c/b"), ["/b", false]);
});

Deno.test("parseArguments() stops at --help", () => {
  assert.equal(parsed("--json", "--help", "--nonsense"), "help");
  assert.equal(parsed("-h"), "help");
});

Deno.test("parseArguments() names the word that is wrong", () => {
  assert.equal(mistake("--nonsense"), 'Unknown option "--nonsense"');
  assert.equal(mistake("-x"), 'Unknown option "-x"');
  assert.equal(mistake("--no-json"), 'Unknown option "--no-json"');
  assert.equal(mistake("stray"), 'Unexpected argument "stray"');
  assert.equal(mistake("--connect"), 'Option "--connect" needs a value');
  assert.equal(mistake("--connect="), 'Option "--connect" needs a value');
  assert.equal(mistake("--json=yes"), 'Option "--json" takes no value, got "yes"');
});

Deno.test("helpText() lists the options in columns", () => {
  assert.equal(
    helpText(COMMAND, "virtlockd"),
    `Usage: virtlockd locks [OPTION]...

Does it.

Options:
  -c, --connect SOCKET  ask there
      --json            print JSON
  -h, --help            show this text and exit
`,
  );
});

Deno.test("parseArguments() takes the one operand that a command needs", () => {
  const command: Command = { ...COMMAND, operand: { name: "WORD", summary: "what it is about" } };
  const operand = (...args: string[]) => {
    try {
      const result = parseArguments(command, args, tokensOf);
      return result === "help" ? result : result.operand;
    } catch (error) {
      if (error instanceof UsageError) return error.message;
      throw error;
    }
  };
  assert.equal(operand("--json", "a b"), "a b");
  assert.equal(operand("x", "-c", "y"), "x");
  assert.equal(operand("--", "-x"), "-x");
  assert.equal(operand("--json"), "WORD is needed");
  assert.equal(operand(""), "WORD is needed");
  assert.equal(operand("a", "b"), 'Unexpected argument "b"');
  assert.equal(
    helpText(command, "prog"),
    `Usage: prog locks [OPTION]... WORD

Does it.

  WORD                  what it is about

Options:
  -c, --connect SOCKET  ask there
      --json            print JSON
  -h, --help            show this text and exit
`,
  );
});
