import assert from "node:assert/strict";
import { tokenizerFor } from "../../../../src/chassis/config/option_tokens.ts";

const tokensOf = await tokenizerFor(["--all"]);
const OPTIONS = {
  config: { value: true, short: "f" },
  watch: { value: true },
  verbose: { value: false, short: "v" },
  daemon: { value: false, short: "d" },
};

/** Tokens in short: an option as `name rawName=value`, `:=` where the value was in the same argument. */
function short(...args: string[]): string[] {
  return tokensOf(args, OPTIONS).map((token) => {
    if (token.kind === "positional") return `positional ${token.value}`;
    const { name, rawName, value, inline } = token;
    return `${name} ${rawName}${value === undefined ? "" : `${inline ? ":" : ""}=${value}`}`;
  });
}

Deno.test("tokensOf() takes a value from behind the option, or from the next argument", () => {
  assert.deepEqual(short("--config", "a", "--config=b", "-f", "c", "-fd", "--watch", "e"), [
    "config --config=a",
    "config --config:=b",
    "config -f=c",
    "config -f:=d",
    "watch --watch=e",
  ]);
});

Deno.test("tokensOf() takes whatever follows as the value, and an empty one as such", () => {
  assert.deepEqual(short("--config", "-v", "-f", "--", "--config=", "--watch", "", "-f=x"), [
    "config --config=-v",
    "config -f=--",
    "config --config:=",
    "watch --watch=",
    "config -f:==x",
  ]);
});

Deno.test("tokensOf() knows letters that are written together, the last one with its value", () => {
  assert.deepEqual(short("-vd", "-dfpath", "-vf", "next", "-xv"), [
    "verbose -v",
    "daemon -d",
    "daemon -d",
    "config -f:=path",
    "verbose -v",
    "config -f=next",
    "x -x",
    "verbose -v",
  ]);
});

Deno.test("tokensOf() leaves a missing value out, and keeps one that an option does not take", () => {
  assert.deepEqual(short("--verbose=yes", "--config"), ["verbose --verbose:=yes", "config --config"]);
  assert.deepEqual(short("-f"), ["config -f"]);
});

Deno.test("tokensOf() passes on options that nobody knows, also by names that every object has", () => {
  assert.deepEqual(short("--no-such", "--other=1", "-z", "--toString", "--constructor", "x"), [
    "no-such --no-such",
    "other --other:=1",
    "z -z",
    "toString --toString",
    "constructor --constructor",
    "positional x",
  ]);
});

Deno.test("tokensOf() takes everything behind -- and a single dash as no option", () => {
  assert.deepEqual(short("a", "-", "", "-v", "--", "-v", "--config", "--"), [
    "positional a",
    "positional -",
    "positional ",
    "verbose -v",
    "positional -v",
    "positional --config",
    "positional --",
  ]);
});

Deno.test("tokenizerFor() takes arguments without any option as they are", async () => {
  const args = ["internal-helper", "", "a=b"];
  const tokens = (await tokenizerFor(args))(args, OPTIONS);
  assert.deepEqual(tokens, args.map((value) => ({ kind: "positional", value })));
  assert.deepEqual((await tokenizerFor([]))([], OPTIONS), []);
});
