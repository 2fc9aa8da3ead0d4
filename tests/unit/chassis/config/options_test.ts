import { VIRTLOCKD } from "../../../../src/lockd/identity/identity.ts";
import assert from "node:assert/strict";
import {
  argumentsOf,
  type DaemonOptions,
  forgiveOptions,
  parseCommandLine,
} from "../../../../src/chassis/config/options.ts";
import { tokenizerFor } from "../../../../src/chassis/config/option_tokens.ts";
import { UsageError } from "../../../../src/chassis/config/usage_error.ts";

const tokensOf = await tokenizerFor(["--all"]);

const PLAIN: DaemonOptions = {
  daemon: false,
  verbose: false,
  config: undefined,
  timeout: undefined,
  pidFile: undefined,
};

Deno.test("parseCommandLine() runs the daemon with the options given", () => {
  const cases: [string[], Partial<DaemonOptions>][] = [
    [[], {}],
    [["-d"], { daemon: true }],
    [["--daemon"], { daemon: true }],
    [["-v"], { verbose: true }],
    [["--verbose"], { verbose: true }],
    [["-dv"], { daemon: true, verbose: true }],
    [["-vd", "-d"], { daemon: true, verbose: true }],
    [["-t30"], { timeout: 30 }],
    [["-t", "30"], { timeout: 30 }],
    [["--timeout=30"], { timeout: 30 }],
    [["--timeout", "30"], { timeout: 30 }],
    [["-t", "0"], { timeout: 0 }],
    [["-t", "030"], { timeout: 30 }],
    [["-t", "2147483"], { timeout: 2147483 }],
    [["-dt30"], { daemon: true, timeout: 30 }],
    [["-dvt", "30"], { daemon: true, verbose: true, timeout: 30 }],
    [["-f", "/c"], { config: "/c" }],
    [["-f/c"], { config: "/c" }],
    [["--config=/c"], { config: "/c" }],
    [["--config", "a=b c"], { config: "a=b c" }],
    [["--config=-x"], { config: "-x" }],
    [["-f", "-"], { config: "-" }],
    [["-p", "/p"], { pidFile: "/p" }],
    [["--pid-file=/p"], { pidFile: "/p" }],
    [["-t", "1", "--timeout=2"], { timeout: 2 }],
    [["-f", "/a", "-f", "/b"], { config: "/b" }],
    [["-d", "--"], { daemon: true }],
    [["-f", "locks"], { config: "locks" }],
    [
      ["-dv", "-f", "/c", "-t", "5", "-p", "/p"],
      { daemon: true, verbose: true, config: "/c", timeout: 5, pidFile: "/p" },
    ],
  ];
  for (const [args, options] of cases) {
    assert.deepEqual(
      parseCommandLine(args, VIRTLOCKD.commands, tokensOf),
      { kind: "daemon", options: { ...PLAIN, ...options } },
      args.join(" "),
    );
  }
});

Deno.test("parseCommandLine() stops at the first --help or --version", () => {
  for (
    const args of [["-h"], ["--help"], ["-dh"], ["-h", "--bogus"], ["-h", "stray"], ["-h", "-V"], ["-hV"]]
  ) {
    assert.deepEqual(parseCommandLine(args, VIRTLOCKD.commands, tokensOf), { kind: "help" }, args.join(" "));
  }
  for (const args of [["-V"], ["--version"], ["-vV"], ["-V", "stray"], ["-V", "-h"]]) {
    assert.deepEqual(
      parseCommandLine(args, VIRTLOCKD.commands, tokensOf),
      { kind: "version" },
      args.join(" "),
    );
  }
});

Deno.test("parseCommandLine() passes a command's arguments on as they are", () => {
  for (const name of ["locks", "clients", "status", "doctor", "metrics", "exporter"]) {
    assert.deepEqual(parseCommandLine([name], VIRTLOCKD.commands, tokensOf), {
      kind: "command",
      name,
      args: [],
    });
    assert.deepEqual(
      parseCommandLine([name, "--json", "-t", "x", "--", "--help", ""], VIRTLOCKD.commands, tokensOf),
      {
        kind: "command",
        name,
        args: ["--json", "-t", "x", "--", "--help", ""],
      },
    );
  }
});

Deno.test("parseCommandLine() passes on a part of the daemon that it starts for itself", () => {
  assert.deepEqual(parseCommandLine(["internal-probe", "--state", "/s"], VIRTLOCKD.commands, tokensOf), {
    kind: "internal",
    name: "internal-probe",
    args: ["--state", "/s"],
  });
});

Deno.test("parseCommandLine() throws one line that names what it cannot understand", () => {
  const commands =
    "the commands are locks, clients, status, doctor, metrics, exporter, reload, release, cluster";
  const seconds = "needs a whole number of seconds from 0 to 2147483";
  const cases: [string[], string][] = [
    [["--bogus"], 'Unknown option "--bogus"'],
    [["--bogus=1"], 'Unknown option "--bogus"'],
    [["-x"], 'Unknown option "-x"'],
    [["-dx"], 'Unknown option "-x"'],
    [["-d", "-x30"], 'Unknown option "-x"'],
    [["--bogus", "--help"], 'Unknown option "--bogus"'],
    [["--no-daemon"], 'Unknown option "--no-daemon"'],
    [["--Daemon"], 'Unknown option "--Daemon"'],
    [["--__proto__"], 'Unknown option "--__proto__"'],
    [["--constructor=x"], 'Unknown option "--constructor"'],
    [["--evil\n\x1b[2J"], 'Unknown option "--evil\\n\\u001b[2J"'],
    [["---"], 'Unknown option "---"'],
    [["-f"], 'Option "-f" needs a value'],
    [["-f", ""], 'Option "-f" needs a value'],
    [["--config"], 'Option "--config" needs a value'],
    [["--config="], 'Option "--config" needs a value'],
    [["--config", "-d"], 'Option "--config" needs a value, got "-d"'],
    [["-p", "--daemon"], 'Option "-p" needs a value, got "--daemon"'],
    [["--pid-file"], 'Option "--pid-file" needs a value'],
    [["-t"], 'Option "-t" needs a value'],
    [["-dt"], 'Option "-t" needs a value'],
    [["--timeout="], 'Option "--timeout" needs a value'],
    [["--timeout=x"], `Option "--timeout" ${seconds}, got "x"`],
    [["-t", "-5"], `Option "-t" ${seconds}, got "-5"`],
    [["-t", "+5"], `Option "-t" ${seconds}, got "+5"`],
    [["-t", "1.5"], `Option "-t" ${seconds}, got "1.5"`],
    [["-t", "1e3"], `Option "-t" ${seconds}, got "1e3"`],
    [["-t", "0x10"], `Option "-t" ${seconds}, got "0x10"`],
    [["-t", " 5"], `Option "-t" ${seconds}, got " 5"`],
    [["-t", "30s"], `Option "-t" ${seconds}, got "30s"`],
    [["-t", "2147484"], `Option "-t" ${seconds}, got "2147484"`],
    [["-t", "9".repeat(400)], `Option "-t" ${seconds}, got "${"9".repeat(80)}…"`],
    [["-t", "٣"], `Option "-t" ${seconds}, got "٣"`],
    [["-t", "x", "-t", "5"], `Option "-t" ${seconds}, got "x"`],
    [["--daemon=yes"], 'Option "--daemon" takes no value, got "yes"'],
    [["--verbose="], 'Option "--verbose" takes no value, got ""'],
    [["--help=x"], 'Option "--help" takes no value, got "x"'],
    [["--version=x"], 'Option "--version" takes no value, got "x"'],
    [["-d", "stray"], 'Unexpected argument "stray"'],
    [["-d", ""], 'Unexpected argument ""'],
    [["--", "stray"], 'Unexpected argument "stray"'],
    [["--", "-d"], 'Unexpected argument "-d"'],
    [["-"], 'Unexpected argument "-"'],
    [["-v", "locks"], 'Unexpected argument "locks": a command must come before all options'],
    [["stray"], `Unknown command "stray": ${commands}`],
    [["lock"], `Unknown command "lock": ${commands}`],
    [["LOCKS"], `Unknown command "LOCKS": ${commands}`],
    [[""], `Unknown command "": ${commands}`],
    [["stray", "--help"], `Unknown command "stray": ${commands}`],
  ];
  for (const [args, message] of cases) {
    assert.throws(() => parseCommandLine(args, VIRTLOCKD.commands, tokensOf), (error) => {
      assert.ok(error instanceof UsageError);
      assert.equal(error.message, message);
      return true;
    }, args.join(" "));
  }
});

Deno.test("parseCommandLine() names no commands of a daemon that has none", () => {
  assert.throws(() => parseCommandLine(["stray"], {}, tokensOf), {
    name: "UsageError",
    message: 'Unexpected argument "stray"',
  });
});

Deno.test("forgiveOptions() takes what is right and has a sentence for each mistake", () => {
  const none = { daemon: false, verbose: false, config: undefined, timeout: undefined, pidFile: undefined };
  assert.deepEqual(forgiveOptions(["-v", "--timeout=30", "-f", "/c"], VIRTLOCKD.commands, tokensOf), {
    options: { ...none, verbose: true, timeout: 30, config: "/c" },
    mistakes: [],
  });
  assert.deepEqual(
    forgiveOptions(
      ["locks", "--bogus", "-v", "--timeout=soon", "--pid-file", "-h", "x"],
      VIRTLOCKD.commands,
      tokensOf,
    ),
    {
      options: { ...none, verbose: true },
      mistakes: [
        'Command "locks" is not for a daemon',
        'Unknown option "--bogus"',
        'Option "--timeout" needs a whole number of seconds from 0 to 2147483, got "soon"',
        'Option "--pid-file" needs a value, got "-h"',
        'Unexpected argument "x"',
      ],
    },
  );
  assert.deepEqual(forgiveOptions(["--version"], VIRTLOCKD.commands, tokensOf), {
    options: none,
    mistakes: ['Option "--version" is not for a daemon'],
  });
});

Deno.test("argumentsOf() says the same as the options", () => {
  for (const args of [[], ["-d", "-v"], ["--config=/c", "-t", "0", "-p", "/p x"]]) {
    const { options } = forgiveOptions(args, VIRTLOCKD.commands, tokensOf);
    assert.deepEqual(parseCommandLine(argumentsOf(options), VIRTLOCKD.commands, tokensOf), {
      kind: "daemon",
      options,
    });
  }
});
