import assert from "node:assert/strict";
import { ConfigError } from "../../../../src/chassis/config/config_error.ts";
import { type ConfigValue, parseConfigFile } from "../../../../src/chassis/config/config_file.ts";

/** The value of a file with the single statement `a = TEXT`. */
function valueOf(text: string): ConfigValue {
  const entries = parseConfigFile(`a = ${text}`, "f");
  assert.equal(entries.length, 1);
  return entries[0]?.value ?? assert.fail("no entry");
}

/** Key, place and value of every entry; strings and integers bare, for short tables. */
function summary(text: string): unknown[] {
  return parseConfigFile(text, "f").map(({ key, place, value }) => [key, place, bare(value)]);
}

function bare(value: ConfigValue): unknown {
  return value.kind === "list" ? value.items.map(bare) : value.value;
}

Deno.test("parseConfigFile() finds nothing when there is no statement", () => {
  for (const text of ["", "\n", " \t ", "# only\n", "#", "\n\n  # a\n\t# b = 1\r\n"]) {
    assert.deepEqual(parseConfigFile(text, "f"), [], JSON.stringify(text));
  }
});

Deno.test("parseConfigFile() returns key, value and place of each statement", () => {
  const text = '# Limits\nmax_clients = 20\n\n  log_filters="1:locking"\t# why\nlog_level=2';
  assert.deepEqual(parseConfigFile(text, "/etc/x.conf"), [
    { key: "max_clients", value: { kind: "integer", value: 20 }, place: "/etc/x.conf:2" },
    { key: "log_filters", value: { kind: "string", value: "1:locking" }, place: "/etc/x.conf:4" },
    { key: "log_level", value: { kind: "integer", value: 2 }, place: "/etc/x.conf:5" },
  ]);
});

Deno.test("parseConfigFile() takes strings in each kind of quotes, without escapes", () => {
  const cases: [string, string][] = [
    ['"x"', "x"],
    ["'x'", "x"],
    ['""', ""],
    ["''", ""],
    ['""""""', ""],
    ['"it\'s"', "it's"],
    ["'say \"x\"'", 'say "x"'],
    ['"a\\nb"', "a\\nb"],
    ['"C:\\"', "C:\\"],
    ['"# no comment; no end"', "# no comment; no end"],
    ['"""x"""', "x"],
    ['"""a""b"""', 'a""b'],
    ['"""one\n two\n"""', "one\n two\n"],
    ['"""one\r\ntwo"""', "one\r\ntwo"],
    ['"grüße \udcff"', "grüße \udcff"],
  ];
  for (const [text, value] of cases) assert.deepEqual(valueOf(text), { kind: "string", value }, text);
});

Deno.test("parseConfigFile() takes decimal integers with an optional sign", () => {
  const cases: [string, number][] = [
    ["0", 0],
    ["1024", 1024],
    ["-5", -5],
    ["+5", 5],
    ["-0", 0],
    ["010", 10],
    ["9007199254740991", 9007199254740991],
    ["-9007199254740991", -9007199254740991],
  ];
  for (const [text, value] of cases) assert.deepEqual(valueOf(text), { kind: "integer", value }, text);
});

Deno.test("parseConfigFile() takes lists over several lines, nested, with comments and a comma at the end", () => {
  const cases: [string, unknown][] = [
    ["[]", []],
    ["[ ]", []],
    ["[\n# none\n]", []],
    ["[1]", [1]],
    ['["a","b"]', ["a", "b"]],
    ["[ 1 , 'b', ]", [1, "b"]],
    ["[1,\n 2,\n\n]", [1, 2]],
    ["[ # open\n 1 # first\n , # comma\n 2 # second\n # close\n]", [1, 2]],
    ["[[1, 2], [], 'x']", [[1, 2], [], "x"]],
    ['["""a\nb"""]', ["a\nb"]],
  ];
  for (const [text, items] of cases) assert.deepEqual(bare(valueOf(text)), items, text);
});

Deno.test("parseConfigFile() ends a statement at a line end of any system, a semicolon, a comment or the end", () => {
  const cases: [string, unknown[]][] = [
    ["a = 1\nb = 2", [["a", "f:1", 1], ["b", "f:2", 2]]],
    ["a = 1\r\nb = 2\r\n", [["a", "f:1", 1], ["b", "f:2", 2]]],
    ["a = 1\rb = 2\r", [["a", "f:1", 1], ["b", "f:2", 2]]],
    ["a = 1; b = 2;c=3", [["a", "f:1", 1], ["b", "f:1", 2], ["c", "f:1", 3]]],
    ["a = 1;\nb = 2 ; # c\n", [["a", "f:1", 1], ["b", "f:2", 2]]],
    ["a = 1# x\nb = 'y'# z", [["a", "f:1", 1], ["b", "f:2", "y"]]],
  ];
  for (const [text, entries] of cases) assert.deepEqual(summary(text), entries, JSON.stringify(text));
});

Deno.test("parseConfigFile() counts the lines inside values and comments", () => {
  const text = 'a = """1\n2\r\n3"""\nb = [\n1,\n2\n]\n# x\nc = 1';
  assert.deepEqual(summary(text), [["a", "f:1", "1\n2\r\n3"], ["b", "f:4", [1, 2]], ["c", "f:9", 1]]);
});

Deno.test("parseConfigFile() returns every entry of a key that is there twice", () => {
  assert.deepEqual(summary("a = 1\nb = 2\na = 3"), [["a", "f:1", 1], ["b", "f:2", 2], ["a", "f:3", 3]]);
});

Deno.test("parseConfigFile() takes letters, digits and underscores in a key, a letter first", () => {
  assert.deepEqual(summary("aZ_9 = 1\nx=2"), [["aZ_9", "f:1", 1], ["x", "f:2", 2]]);
});

Deno.test("parseConfigFile() throws with line, expectation and finding when the text is malformed", () => {
  const value = "a value (a string in quotes, an integer or a list)";
  const end = 'the end of the line, ";" or a comment after the value';
  const cases: [string, number, string, string][] = [
    // Keys.
    ["= 5", 1, "a key", '"="'],
    ["\n\n5 = 5", 3, "a key", '"5"'],
    ["_a = 5", 1, "a key", '"_a"'],
    ["; a = 5", 1, "a key", '";"'],
    ["a = 1;; b = 2", 1, "a key", '";"'],
    ["\ufeffa = 5", 1, "a key", '"\\ufeffa"'],
    ["é = 5", 1, "a key", '"é"'],
    ["a = 1\n\x1b[2J", 2, "a key", '"\\u001b"'],
    ["😀 = 1", 1, "a key", '"😀"'],
    // Assignments.
    ["a", 1, '"=" after the key "a"', "the end of the file"],
    ["a\n= 5", 1, '"=" after the key "a"', "the end of the line"],
    ["a 5", 1, '"=" after the key "a"', '"5"'],
    ["a # = 5", 1, '"=" after the key "a"', "a comment"],
    ["a-b = 5", 1, '"=" after the key "a"', '"-b"'],
    ["a.b = 5", 1, '"=" after the key "a"', '".b"'],
    ["a\u00a0= 5", 1, '"=" after the key "a"', '"\\u00a0"'],
    ["a\v= 5", 1, '"=" after the key "a"', '"\\u000b"'],
    ["a : 5", 1, '"=" after the key "a"', '":"'],
    // Values.
    ["a =", 1, value, "the end of the file"],
    ["a = \n5", 1, value, "the end of the line"],
    ["a = \r\n5", 1, value, "the end of the line"],
    ["a = # c\n5", 1, value, "a comment"],
    ["a = debug", 1, value, '"debug"'],
    ["a == 5", 1, value, '"="'],
    ["a = ;", 1, value, '";"'],
    ["a = ]", 1, value, '"]"'],
    ["a = \0", 1, value, '"\\u0000"'],
    // Integers.
    ["a = -", 1, "an integer", '"-"'],
    ["a = - 5", 1, "an integer", '"-"'],
    ["a = 0x10", 1, "an integer", '"0x10"'],
    ["a = 1.5", 1, "an integer", '"1.5"'],
    ["a = 5s", 1, "an integer", '"5s"'],
    ["a = 1_000", 1, "an integer", '"1_000"'],
    [
      "a = 9007199254740992",
      1,
      "an integer from -9007199254740991 to 9007199254740991",
      '"9007199254740992"',
    ],
    // Strings.
    ['a = "x', 1, 'a closing " in the same line', "the end of the file"],
    ['a = "x\n"', 1, 'a closing " in the same line', "the end of the line"],
    ["a = 'x\ny'", 1, "a closing ' in the same line", "the end of the line"],
    ["a = '''x\ny'''", 1, end, '"\'x"'],
    ['\na = """x\ny""\n', 2, 'a closing """ for the string that begins here', "the end of the file"],
    // Lists.
    ["a = [", 1, '"]" to close the list of line 1', "the end of the file"],
    ["a = [1\n\n", 3, '"," or "]" in the list of line 1', "the end of the file"],
    ["a = [1,\n", 2, '"]" to close the list of line 1', "the end of the file"],
    ["a = [1 2]", 1, '"," or "]" in the list of line 1', '"2"'],
    ["a = [\n1\n2]", 3, '"," or "]" in the list of line 1', '"2"'],
    ["a = [1; 2]", 1, '"," or "]" in the list of line 1', '";"'],
    ["a = [,]", 1, value, '","'],
    ["a = [1,,2]", 1, value, '","'],
    ["a = [b]", 1, value, '"b"'],
    [`a = ${"[".repeat(17)}`, 1, "at most 16 lists inside each other", '"["'],
    [`a = ${"[".repeat(100_000)}`, 1, "at most 16 lists inside each other", '"["'],
    // Ends of statements.
    ["a = 1 b = 2", 1, end, '"b"'],
    ["a = 'x'y", 1, end, '"y"'],
    ['a = "x" "y"', 1, end, '"\\"y\\""'],
    ["a = 5,", 1, end, '","'],
    ["a = [1,\n2] b", 2, end, '"b"'],
    ['a = """x\n""""', 2, end, '"\\""'],
    ["a = 1 = 2", 1, end, '"="'],
  ];
  for (const [text, line, expected, got] of cases) {
    assert.throws(
      () => parseConfigFile(text, "f"),
      (error) => {
        assert.ok(error instanceof ConfigError);
        assert.equal(error.message, `f:${line}: expected ${expected}, got ${got}`, text.slice(0, 40));
        return true;
      },
    );
  }
});

Deno.test("parseConfigFile() accepts 16 lists inside each other", () => {
  let value = valueOf("[".repeat(16) + "]".repeat(16));
  let depth = 0;
  for (; value.kind === "list"; depth++) {
    const [inner] = value.items;
    if (inner === undefined) break;
    value = inner;
  }
  assert.equal(depth, 15);
});

Deno.test("parseConfigFile() parses or names the place when a file is cut at any character", () => {
  const text = 'a = "x" ; b = [1,\n "y", # z\n [\'v\']]\nc = """p\nq"""\n';
  for (let length = 0; length <= text.length; length++) {
    try {
      assert.ok(parseConfigFile(text.slice(0, length), "f").length <= 3);
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /^f:[1-5]: expected .+, got .+$/);
    }
  }
});
