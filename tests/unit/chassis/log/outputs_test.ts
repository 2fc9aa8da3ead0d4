import assert from "node:assert/strict";
import { LogConfigError } from "../../../../src/chassis/log/log_config_error.ts";
import { formatOutputs, parseOutputs } from "../../../../src/chassis/log/outputs.ts";

// Left: given to the admin program of libvirt 9.0.0 (with -d). Right: what it then reports.
const VALID: ReadonlyArray<readonly [string, string]> = [
  ["", ""],
  ["  ", ""],
  ["3:stderr", "3:stderr"],
  ["  3:stderr   2:journald ", "3:stderr 2:journald"],
  ["+03:stderr", "3:stderr"],
  ["\t3:stderr", "3:stderr"],
  ["3:stderr 1:stderr", "1:stderr"],
  ["3:stderr 2:syslog:x 1:stderr", "2:syslog:x 1:stderr"],
  ["3:syslog:a 2:syslog:b", "3:syslog:a 2:syslog:b"],
  ["3:syslog:", "3:syslog:"],
  ["3:file:/var/log/a 2:file:/var/log/./a", "2:file:/var/log/a"],
  ["3:file:/tmp/team//../log/a/", "3:file:/tmp/log/a"],
  ["3:file:rel", "3:file:/rel"],
  ["3:file:../x", "3:file:/x"],
  ["3:file:", "3:file:/"],
];

// The messages of libvirt 9.0.0, without `invalid argument: `.
const INVALID: ReadonlyArray<readonly [string, string]> = [
  ["stderr", "Malformed format for log output 'stderr'"],
  ["3", "Malformed format for log output '3'"],
  ["3 :stderr", "Malformed format for log output '3'"],
  ["3:file:/a b", "Malformed format for log output 'b'"],
  ["7:stderr", "Invalid log priority '7' for log output '7:stderr'"],
  [":stderr", "Invalid log priority '' for log output ':stderr'"],
  ["debug:stderr", "Invalid log priority 'debug' for log output 'debug:stderr'"],
  ["1:bogus", "Invalid log destination 'bogus' for log output '1:bogus'"],
  ["3:", "Invalid log destination '' for log output '3:'"],
  ["3::x", "Invalid log destination '' for log output '3::x'"],
  ["3:STDERR", "Invalid log destination 'STDERR' for log output '3:STDERR'"],
  ["3:stderr\t2:syslog:x", "Invalid log destination 'stderr\t2' for log output '3:stderr\t2:syslog:x'"],
  [
    "1:stderr:x",
    "Log output '1:stderr:x' does not meet the format requirements for destination type 'stderr'",
  ],
  [
    "3:journald:",
    "Log output '3:journald:' does not meet the format requirements for destination type 'journald'",
  ],
  ["1:syslog", "Log output '1:syslog' does not meet the format requirements for destination type 'syslog'"],
  ["1:file", "Log output '1:file' does not meet the format requirements for destination type 'file'"],
  ["3:file:a:b", "Log output '3:file:a:b' does not meet the format requirements for destination type 'file'"],
  ["9:stderr bogus", "Invalid log priority '9' for log output '9:stderr'"],
];

Deno.test("parseOutputs() and formatOutputs() turn a list into what libvirt reports", () => {
  for (const [text, reported] of VALID) assert.equal(formatOutputs(parseOutputs(text)), reported, text);
});

Deno.test("parseOutputs() refuses a wrong output in libvirt's words", () => {
  for (const [text, message] of INVALID) {
    assert.throws(() => parseOutputs(text), (error) => {
      assert.ok(error instanceof LogConfigError);
      assert.equal(error.message, message);
      return true;
    });
  }
});

Deno.test("parseOutputs() tells level, kind and detail of each output", () => {
  assert.deepEqual(parseOutputs("1:syslog:me 2:file:/x 3:journald 4:stderr"), [
    { kind: "syslog", level: 1, ident: "me" },
    { kind: "file", level: 2, path: "/x" },
    { kind: "journald", level: 3 },
    { kind: "stderr", level: 4 },
  ]);
});
