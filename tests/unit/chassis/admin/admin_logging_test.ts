import assert from "node:assert/strict";
import { LogConfigError } from "../../../../src/chassis/log/log_config_error.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { encodeFlags, encodeSetLogging } from "../../../support/admin_codec.ts";
import { FakeDaemon, refusal, refused } from "./admin_fixture.ts";
import { type Answer, hex } from "../../lockd/programs/program_fixture.ts";

function get(daemon: FakeDaemon, procedure: number, flags = 0): Answer {
  return daemon.call(procedure, (w) => encodeFlags(w, { flags }));
}

function set(daemon: FakeDaemon, procedure: number, value: string | undefined, flags = 0): Answer {
  return daemon.call(procedure, (w) => encodeSetLogging(w, { value, flags }));
}

Deno.test("GET_LOGGING_OUTPUTS gives the outputs and their number", () => {
  const text = new TextEncoder().encode("3:stderr 4:file:/x").toHex();
  assert.equal(hex(get(new FakeDaemon(), 14)), `00000012${text}000000000002`);
});

Deno.test("GET_LOGGING_FILTERS gives no text where there is no filter", () => {
  const daemon = new FakeDaemon();
  assert.equal(hex(get(daemon, 15)), "0000000000000000");
  daemon.logs.filtersCount = 1;
  assert.equal(hex(get(daemon, 15)), "0000000100000006313a2a612a20000000000001");
});

Deno.test("SET_LOGGING_OUTPUTS and SET_LOGGING_FILTERS pass the text on, an absent one as empty", () => {
  const daemon = new FakeDaemon();
  for (const procedure of [16, 17]) {
    assert.equal(hex(set(daemon, procedure, "1:stderr")), "");
    assert.equal(hex(set(daemon, procedure, undefined)), "");
  }
  assert.deepEqual(daemon.done, ['outputs "1:stderr"', 'outputs ""', 'filters "1:stderr"', 'filters ""']);
});

Deno.test("the logging procedures refuse flags", () => {
  const daemon = new FakeDaemon();
  const flags = (where: string) => refusal(8, 62, `unsupported flags (0x1) in function ${where}`);
  assert.deepEqual(refused(get(daemon, 14, 1)), flags("adminConnectGetLoggingOutputs"));
  assert.deepEqual(refused(get(daemon, 15, 1)), flags("adminConnectGetLoggingFilters"));
  assert.deepEqual(refused(set(daemon, 16, "", 1)), flags("adminConnectSetLoggingOutputs"));
  assert.deepEqual(refused(set(daemon, 17, "", 1)), flags("adminConnectSetLoggingFilters"));
  assert.deepEqual(daemon.done, []);
});

Deno.test("SET_LOGGING_FILTERS gives what is wrong as an invalid argument", () => {
  const daemon = new FakeDaemon();
  daemon.logs.setFilters = () => {
    throw new LogConfigError("Malformed format for filter 'x'");
  };
  assert.deepEqual(
    refused(set(daemon, 17, "x")),
    refusal(8, 0, "invalid argument: Malformed format for filter 'x'"),
  );
});

Deno.test("SET_LOGGING_OUTPUTS gives a file that cannot be opened as a system error", () => {
  const daemon = new FakeDaemon();
  daemon.logs.setOutputs = () => {
    throw new SystemError("open", "/nonexist/x", 2);
  };
  assert.deepEqual(set(daemon, 16, "1:file:/nonexist/x"), {
    kind: "failed",
    code: 38,
    domain: 0,
    message: "failed to open /nonexist/x: No such file or directory",
    str1: "%s",
    int1: 2,
  });
});
