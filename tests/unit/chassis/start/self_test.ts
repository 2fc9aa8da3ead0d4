import assert from "node:assert/strict";
import {
  absolute,
  environmentOf,
  lastingEnvironment,
  runningImage,
  selfImage,
  variable,
  withVariables,
  workingDirectory,
} from "../../../../src/chassis/start/self.ts";
import { readWhole } from "../../../../src/os/read_file.ts";
import type { RuntimeFacts } from "../../../../src/os/runtime.ts";
import type { FileSys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

const FACTS: RuntimeFacts = {
  chosen: [],
  args: ["-d", "-v"],
  runtimePath: "/usr/bin/deno",
  standalone: false,
  mainFile: "/src/main.ts",
};

/** The image of a process that was started with these arguments. */
function image(argv: readonly string[], facts: Partial<RuntimeFacts>) {
  return selfImage(files(argv), { ...FACTS, ...facts }, "/home/me");
}

/** /proc of such a process. */
function files(argv: readonly string[]): FileSys {
  const files: Record<string, string> = {
    "/proc/self/cmdline": argv.map((argument) => `${argument}\0`).join(""),
    // The second one was given to this image for itself.
    "/proc/self/environ": "A=1\0DENO_V8_FLAGS=--initial-old-space-size=90\0B=x=y\0",
  };
  let text = "";
  return {
    ...kernel,
    open: (path) => {
      text = files[path] ?? assert.fail(path);
      return 5;
    },
    read: (_fd, into) => {
      const { written } = new TextEncoder().encodeInto(text, into);
      text = "";
      return written;
    },
    close: () => 0,
  };
}

Deno.test("selfImage() of the sources is the runtime with all its arguments", () => {
  const argv = ["deno", "run", "-A", "/src/main.ts", "-d", "-v"];
  assert.deepEqual(image(argv, {}), {
    path: "/usr/bin/deno",
    argv,
    base: ["deno", "run", "-A", "/src/main.ts"],
    env: ["A=1", "B=x=y"],
  });
});

Deno.test("selfImage() of a program file is that file, as it was named", () => {
  const argv = ["deno", "run", "--ext=js", "./virtlockd", "-d", "-v"];
  const wanted = { argv: ["/opt/virtlockd", "-d", "-v"], base: ["/opt/virtlockd"], env: ["A=1", "B=x=y"] };
  assert.deepEqual(image(argv, { mainFile: "/opt/virtlockd" }), { path: "/opt/virtlockd", ...wanted });
});

Deno.test("selfImage() of a self-contained executable is the name it was started by", () => {
  const standalone = { standalone: true, runtimePath: "/usr/lib/virtlockd-1.2" };
  const of = (name: string) => image([name, "-d", "-v"], standalone);
  assert.deepEqual(of("/usr/sbin/virtlockd").path, "/usr/sbin/virtlockd");
  assert.deepEqual(of("./virtlockd").path, "/home/me/./virtlockd");
  assert.deepEqual(of("virtlockd"), {
    path: "/usr/lib/virtlockd-1.2",
    argv: ["virtlockd", "-d", "-v"],
    base: ["virtlockd"],
    env: ["A=1", "B=x=y"],
  });
});

Deno.test("runningImage() goes past the shell that a script begins with", () => {
  const argv = ["/usr/lib/virtlockd/deno", "run", "--ext=js", "/usr/sbin/virtlockd", "-d", "-v"];
  const facts = { ...FACTS, runtimePath: "/usr/lib/virtlockd/deno", mainFile: "/usr/sbin/virtlockd" };
  const running = runningImage(files(argv), facts, image(argv, facts));
  assert.deepEqual([running.path, running.argv], ["/usr/lib/virtlockd/deno", argv]);
  const standalone = { ...FACTS, standalone: true };
  const self = image(["/usr/sbin/virtlockd", "-d", "-v"], standalone);
  assert.equal(runningImage(files([]), standalone, self), self);
});

Deno.test("selfImage() of a program with several daemons goes on with the one that was chosen", () => {
  const standalone = { standalone: true, runtimePath: "/opt/family", chosen: ["virtlockd"] };
  const { argv, base } = image(["/opt/family", "virtlockd", "-d", "-v"], standalone);
  assert.deepEqual(argv, ["/opt/family", "virtlockd", "-d", "-v"]);
  assert.deepEqual(base, ["/opt/family", "virtlockd"]);
});

Deno.test("absolute() leaves a whole path and completes another", () => {
  assert.equal(absolute("/a/b", "/c"), "/a/b");
  assert.equal(absolute("a/b", "/c"), "/c/a/b");
  assert.equal(absolute("a/b", "/"), "/a/b");
});

Deno.test("workingDirectory() is the root where the directory was removed or cannot be reached", () => {
  const at = (link: string | number, there: readonly string[] = []) =>
    workingDirectory({ readlink: () => link, access: (path) => there.includes(path) ? 0 : -2 });
  assert.equal(at("/home/user"), "/home/user");
  assert.equal(at("/home/user (deleted)"), "/");
  assert.equal(at("/home/user (deleted)", ["/home/user (deleted)"]), "/home/user (deleted)");
  assert.equal(at("(unreachable)/home"), "/");
  assert.equal(at(-2), "/");
});

Deno.test("lastingEnvironment() leaves out what was meant for one image", () => {
  const env = [
    "A=1",
    "LISTEN_PID=5",
    "LISTEN_FDS=2",
    "LISTEN_FDNAMES=x",
    "DAEMON_READY_FD=3",
    "LISTEN_FDS_X=1",
  ];
  assert.deepEqual(lastingEnvironment(env), ["A=1", "LISTEN_FDS_X=1"]);
});

Deno.test("variable() and environmentOf() split at the first equals sign", () => {
  const env = ["A=1", "B=x=y", "AB=2", "C="];
  assert.deepEqual([variable(env, "A"), variable(env, "B"), variable(env, "C")], ["1", "x=y", ""]);
  assert.equal(variable(env, "D"), undefined);
  assert.deepEqual(environmentOf(env), { A: "1", B: "x=y", AB: "2", C: "" });
});

Deno.test("readWhole() reads a file of any length and closes it", () => {
  using scratch = new Scratch();
  const before = openDescriptors();
  for (const length of [0, 1, 65_535, 65_536, 200_000]) {
    const bytes = new Uint8Array(length).fill(7);
    Deno.writeFileSync(scratch.file("file"), bytes);
    assert.deepEqual(readWhole(kernel, scratch.file("file")), bytes);
  }
  assert.throws(
    () => readWhole(kernel, scratch.file("absent")),
    /^SystemError: open .*: No such file or directory/,
  );
  assert.throws(
    () => readWhole({ ...kernel, read: () => -5 }, scratch.file("file")),
    /^SystemError: read .*: Input/,
  );
  assert.deepEqual(openedSince(before), []);
});

Deno.test("withVariables() replaces what is there", () => {
  const env = ["A=1", "FDSTORE=0", "FDSTORES=2"];
  assert.deepEqual(withVariables(env, { FDSTORE: "7", NOTIFY_SOCKET: "/n" }), [
    "A=1",
    "FDSTORES=2",
    "FDSTORE=7",
    "NOTIFY_SOCKET=/n",
  ]);
  assert.deepEqual(withVariables(env, {}), env);
});
