import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import {
  findProgram,
  type ProgramEnd,
  type ProgramRequest,
  runProgram,
} from "../../../../src/storaged/work/program_run.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

/** Runs a program, and makes sure that it leaves no descriptor behind. */
function run(request: ProgramRequest, between = () => {}): ProgramEnd {
  const before = openDescriptors();
  const loop = new EventLoop(kernel);
  try {
    return runProgram(kernel, loop, request, between);
  } finally {
    loop.close();
    assert.deepEqual(openedSince(before), []);
  }
}

Deno.test("findProgram() looks into the system's directories", () => {
  assert.match(findProgram(kernel, "sh") ?? "", /^\/(?:usr\/)?bin\/sh$/);
  assert.equal(findProgram(kernel, "no-such-program"), undefined);
  assert.equal(findProgram(kernel, "/no/such/program"), undefined);
});

Deno.test("runProgram() tells exit code and both outputs", () => {
  const end = run({ argv: ["sh", "-c", "echo out; echo err >&2; exit 3"] });
  assert.deepEqual(end, { kind: "exited", code: 3, stdout: "out\n", stderr: "err\n" });
});

Deno.test("runProgram() takes outputs that are longer than a pipe", () => {
  const end = run({ argv: ["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x"] });
  assert.equal(end.kind, "exited");
  assert.equal(end.kind === "exited" && end.stdout.length, 300_000);
});

Deno.test("runProgram() tells what is written as it comes", () => {
  const told: string[] = [];
  run({ argv: ["sh", "-c", "printf '(10/100%%)'"], output: (text) => void told.push(text) });
  assert.equal(told.join(""), "(10/100%)");
});

Deno.test("runProgram() gives descriptors from 3 on", () => {
  const pipe = kernel.pipe();
  assert.ok(typeof pipe !== "number");
  const [output, input] = pipe;
  run({ argv: ["sh", "-c", "echo hello >&3"], descriptors: [input] });
  kernel.close(input);
  const bytes = new Uint8Array(16);
  const length = kernel.read(output, bytes);
  kernel.close(output);
  assert.equal(new TextDecoder().decode(bytes.subarray(0, length)), "hello\n");
});

Deno.test("runProgram() tells that a program is not installed, or was killed", () => {
  assert.deepEqual(run({ argv: ["no-such-program"] }), { kind: "missing", program: "no-such-program" });
  assert.deepEqual(run({ argv: ["sh", "-c", "kill -9 $$"] }), { kind: "killed", signal: 9, stderr: "" });
});

Deno.test("runProgram() kills a program that takes too long", () => {
  const end = run({ argv: ["sh", "-c", "exec sleep 1000"], limit: 20 });
  assert.equal(end.kind, "failed");
  assert.match(end.kind === "failed" ? end.reason : "", /sh: it did not end within 0\.02 s$/);
});

Deno.test("runProgram() kills the program when its caller does not want it any more", () => {
  assert.throws(
    () => run({ argv: ["sh", "-c", "echo begun; exec sleep 1000"] }, () => assert.fail("enough")),
    /enough/,
  );
});

Deno.test("runProgram() gives a program no more memory and CPU time than it may use", () => {
  const limits = { memory: 2 ** 30, processor: 7 };
  const end = run({ argv: ["sh", "-c", "ulimit -v; ulimit -t; ulimit -c"], limits });
  assert.deepEqual(end, { kind: "exited", code: 0, stdout: "1048576\n7\n0\n", stderr: "" });
});

Deno.test("runProgram() tells of each sign of life, on either output", () => {
  let heard = 0;
  run({ argv: ["sh", "-c", "echo err >&2"], heard: () => void heard++ });
  assert.equal(heard, 1);
});
