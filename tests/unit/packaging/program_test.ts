import assert from "node:assert/strict";
import { contentsNamed } from "../../../packaging/contents.ts";
import { shellLine } from "../../../packaging/program.ts";

const VIRTLOCKD = contentsNamed("virtlockd");

/** Runs what the shell does of a program whose runtime is at a path. */
async function runShell(runtime: string, env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
    args: ["-c", shellLine(VIRTLOCKD, runtime), "/usr/sbin/virtlockd", "locks", "--json"],
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", HOME: "/", ...env },
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

Deno.test("a program in the form of a script runs its own file with the runtime", async () => {
  const { code, stdout } = await runShell("/bin/echo");
  assert.equal(code, 0);
  assert.match(stdout, /^run -A .* --ext=js \/usr\/sbin\/virtlockd locks --json\n$/);
});

Deno.test("root's commands and services have one place for compiled code, others one of their own", async () => {
  const directory = Deno.makeTempDirSync();
  try {
    const runtime = `${directory}/runtime`;
    Deno.writeTextFileSync(runtime, '#!/bin/sh\necho "${DENO_DIR-none}"\n', { mode: 0o755 });
    const place = async (env: Record<string, string>) => (await runShell(runtime, env)).stdout.trimEnd();
    const mayWriteCache = Deno.uid() === 0;
    assert.equal(await place({ HOME: "/" }), mayWriteCache ? "/var/cache/virtlockd" : "none");
    assert.equal(await place({ HOME: "" }), "/var/cache/virtlockd");
    assert.equal(await place({ HOME: "/", DENO_DIR: "/elsewhere" }), "/elsewhere");
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("what somebody has set for the runtime does not reach a program, in no shell", async () => {
  const directory = Deno.makeTempDirSync();
  try {
    const runtime = `${directory}/runtime`;
    Deno.writeTextFileSync(runtime, "#!/bin/sh\nenv | sort\n", { mode: 0o755 });
    for (const shell of ["sh", "bash"]) {
      const { code, stdout } = await new Deno.Command(shell, {
        args: ["-c", shellLine(VIRTLOCKD, runtime), "/usr/sbin/virtlockd", "locks"],
        clearEnv: true,
        env: {
          PATH: "/usr/bin:/bin",
          HOME: "/",
          DENO_DIR: "/elsewhere",
          DENO_V8_FLAGS: "--nonsense",
          DENO_PERMISSION_BROKER_PATH: "/absent",
          DENO_TOKIO_EVENT_INTERVAL: "0",
          NODE_OPTIONS: "--inspect --bogus",
          NODE_CHANNEL_FD: "3",
          OTEL_DENO: "true",
          OTHER: "two words * NODE_X=1; DENO_$(id)=2\nDENO_Y=3 'quoted\"",
        },
      }).output();
      assert.equal(code, 0);
      const lines = new TextDecoder().decode(stdout).split("\n").filter((line) =>
        !/^(_|PWD|SHLVL)=/.test(line)
      );
      assert.deepEqual(lines, [
        "DENO_DIR=/elsewhere",
        "DENO_Y=3 'quoted\"",
        "HOME=/",
        "OTHER=two words * NODE_X=1; DENO_$(id)=2",
        "PATH=/usr/bin:/bin",
        "",
      ]);
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("a program has the room for its heap that the image before has asked for, and no other flags", async () => {
  const directory = Deno.makeTempDirSync();
  try {
    const runtime = `${directory}/runtime`;
    Deno.writeTextFileSync(runtime, '#!/bin/sh\necho "${DENO_V8_FLAGS-none}"\n', { mode: 0o755 });
    const given = async (flags: string) =>
      (await runShell(runtime, { HOME: "/", DENO_V8_FLAGS: flags })).stdout.trimEnd();
    assert.equal(await given("--initial-old-space-size=72"), "--initial-old-space-size=72");
    assert.equal(await given("--initial-old-space-size=900"), "--initial-old-space-size=900");
    assert.equal(await given("--initial-old-space-size=9000"), "none");
    assert.equal(await given("--initial-old-space-size=72,--bogus"), "none");
    assert.equal(await given("--expose-gc --initial-old-space-size=72"), "none");
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("a program that is started in a directory that was removed runs in the root", async () => {
  const directory = Deno.makeTempDirSync();
  const script = `${directory}/program`;
  const runtime = Deno.execPath();
  Deno.writeTextFileSync(
    script,
    `#!/bin/sh\n":" //; ${shellLine(VIRTLOCKD, runtime)}\nconsole.log(Deno.cwd(), Deno.args[0]);\n`,
    { mode: 0o755 },
  );
  try {
    for (const shell of ["sh", "bash"]) {
      const run = async (before: string) => {
        const { code, stdout } = await new Deno.Command(shell, {
          args: ["-c", `${before}; exec "${shell}" "${script}" argument`],
          env: { HOME: directory, DENO_DIR: `${directory}/deno` },
          cwd: directory,
        }).output();
        return [code, new TextDecoder().decode(stdout)];
      };
      assert.deepEqual(await run("mkdir gone; cd gone; rmdir ../gone"), [0, "/ argument\n"]);
      assert.deepEqual(await run("unset HOME PWD; cd ."), [0, `${directory} argument\n`]);
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("a program whose runtime is not there says so, and what to do", async () => {
  assert.deepEqual(await runShell("/nowhere/deno"), {
    code: 1,
    stdout: "",
    stderr: "virtlockd: error: Run /nowhere/deno: it is not there, and this program cannot run without it; " +
      "install the package again, or build the program on this host\n",
  });
});

Deno.test("shellLine() refuses a runtime whose path would end the shell's quotes", () => {
  assert.throws(() => shellLine(VIRTLOCKD, "/home/o'neil/deno"), {
    message: "Name the runtime: /home/o'neil/deno must not contain a quote",
  });
});

Deno.test("the link with etcd is started with the permissions that it needs, and no place to write to", async () => {
  const directory = Deno.makeTempDirSync();
  try {
    const runtime = `${directory}/runtime`;
    Deno.writeTextFileSync(runtime, '#!/bin/sh\necho "$DENO_DIR $DENO_NO_UPDATE_CHECK $*"\n', {
      mode: 0o755,
    });
    const { stdout } = await new Deno.Command("/bin/sh", {
      args: [
        "-c",
        shellLine(contentsNamed("virtlockd-cluster"), runtime),
        "/usr/sbin/virtlockd-cluster",
        "-V",
      ],
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin" },
    }).output();
    assert.match(
      new TextDecoder().decode(stdout),
      /^\/dev\/null 1 run --allow-net --allow-read --allow-env --no-prompt --v8-flags=\S+ --no-config --no-lock --no-remote --no-npm --ext=js \/usr\/sbin\/virtlockd-cluster -V\n$/,
    );
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
