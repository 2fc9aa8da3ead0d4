import assert from "node:assert/strict";
import { getLog } from "../../../../src/chassis/log/log.ts";
import { LogConfigError } from "../../../../src/chassis/log/log_config_error.ts";
import type { LoggingSettings } from "../../../../src/chassis/log/log_settings.ts";
import { LogSystem } from "../../../../src/chassis/log/log_system.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { DatagramServer, inDirectory, sysWith, TIME } from "./log_fixture.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

const ENOSPC = 28;
const PREFIX = "2026-11-21 02:55:58.250+0000: 99: ";
const log = getLog("locking.lock_daemon", "src/lockd/daemon/daemon.ts");
const rpc = getLog("rpc.server", "src/chassis/rpc/server.ts");

/** A log system in a directory of its own, closed after the test. */
function withSystem(
  use: (system: LogSystem, directory: string) => void,
  sys: () => Sys = linuxSys,
): () => void {
  return inDirectory((directory) => {
    const paths = { syslog: `${directory}/syslog`, journald: `${directory}/journald` };
    const system = new LogSystem({ sys: sys(), pid: 99, ident: "virtlockd", clock: () => TIME, paths });
    try {
      use(system, directory);
    } finally {
      system.close();
    }
  });
}

function toFile(directory: string, parts: Partial<LoggingSettings> = {}): LoggingSettings {
  const outputs = `1:file:${directory}/a.log`;
  return {
    level: 3,
    filters: "",
    outputs,
    outputsSource: { kind: "default" },
    defaultOutputs: outputs,
    ...parts,
  };
}

/** The lines of a file without the time and the pid, which they all must have. */
function lines(path: string): string[] {
  const found = Deno.readTextFileSync(path).split("\n");
  assert.equal(found.pop(), "");
  return found.map((line) => {
    assert.ok(line.startsWith(PREFIX), line);
    return line.slice(PREFIX.length);
  });
}

Deno.test(
  "LogSystem writes what is logged in libvirt's format, from the level up",
  withSystem((system, directory) => {
    system.configure(toFile(directory));
    log.info("not wanted");
    log.warn("Resource busy");
    log.error(() => "x\ny {z}");
    assert.deepEqual(lines(`${directory}/a.log`), [
      "warning : locking.lock_daemon : Resource busy",
      "error : locking.lock_daemon : x\\ny {z}",
    ]);
  }),
);

Deno.test(
  "LogSystem keeps what is logged before configure() and then writes what passes",
  withSystem((system, directory) => {
    log.debug("early debug");
    log.warn("early warning");
    rpc.debug("early rpc");
    system.configure(toFile(directory, { filters: "1:rpc" }));
    log.warn("later");
    assert.deepEqual(lines(`${directory}/a.log`), [
      "warning : locking.lock_daemon : early warning",
      "debug : rpc.server : early rpc",
      "warning : locking.lock_daemon : later",
    ]);
  }),
);

Deno.test(
  "LogSystem keeps 1000 early messages and says how many more there were",
  withSystem((system, directory) => {
    for (let count = 0; count < 1003; count++) log.error(`${count}`);
    system.configure(toFile(directory));
    const written = lines(`${directory}/a.log`);
    assert.equal(written.length, 1001);
    assert.equal(written[999], "error : locking.lock_daemon : 999");
    assert.equal(written[1000], "warning : util.log : Messages lost before logging was set up: 3");
  }),
);

Deno.test(
  "LogSystem configure() that fails keeps the early messages for the next attempt",
  withSystem((system, directory) => {
    log.warn("early");
    assert.throws(
      () => system.configure(toFile(directory, { outputs: `1:file:${directory}/no/a` })),
      SystemError,
    );
    system.configure(toFile(directory));
    assert.deepEqual(lines(`${directory}/a.log`), ["warning : locking.lock_daemon : early"]);
  }),
);

Deno.test("LogSystem abandonStart() writes early warnings and errors to stderr", () => {
  const written: string[] = [];
  const sys = sysWith({
    fstat: () => -9,
    write(fd, bytes) {
      assert.equal(fd, 2);
      written.push(new TextDecoder().decode(bytes));
      return bytes.length;
    },
  });
  const system = new LogSystem({ sys, pid: 99, ident: "virtlockd", clock: () => TIME });
  log.info("early info");
  log.error("Cannot start");
  system.abandonStart();
  system.close();
  assert.deepEqual(written, [`${PREFIX}error : locking.lock_daemon : Cannot start\n`]);
});

Deno.test(
  "LogSystem abandonStart() does nothing once configured",
  withSystem((system, directory) => {
    system.configure(toFile(directory));
    system.abandonStart();
    assert.equal(system.outputsText(), `1:file:${directory}/a.log`);
  }),
);

Deno.test(
  "LogSystem setFilters() changes levels by category, first match first",
  withSystem((system, directory) => {
    system.configure(toFile(directory));
    system.setFilters("4:rpc.s 1:lock 1:rpc");
    assert.deepEqual([log.enabled("debug"), rpc.enabled("warning"), rpc.enabled("error")], [
      true,
      false,
      true,
    ]);
    log.debug("a");
    rpc.warn("b");
    system.setFilters("");
    assert.deepEqual([log.enabled("info"), rpc.enabled("warning")], [false, true]);
    log.debug("c");
    rpc.warn("d");
    assert.deepEqual(lines(`${directory}/a.log`), [
      "debug : locking.lock_daemon : a",
      "warning : rpc.server : d",
    ]);
  }),
);

Deno.test(
  "LogSystem applies filters to a log that is made later",
  withSystem((system, directory) => {
    system.configure(toFile(directory, { level: 1, filters: "4:late.one" }));
    const one = getLog("late.one", "src/one.ts");
    const two = getLog("late.two", "src/two.ts");
    one.warn("a");
    two.debug("b");
    assert.deepEqual(lines(`${directory}/a.log`), ["debug : late.two : b"]);
  }),
);

Deno.test(
  "LogSystem setFilters() with a wrong text keeps the old filters",
  withSystem((system, directory) => {
    system.configure(toFile(directory, { filters: "1:lock 2:rpc" }));
    assert.throws(() => system.setFilters("1:x 9:y"), LogConfigError);
    assert.equal(system.filtersText(), "1:*lock* 2:*rpc* ");
    assert.equal(system.filtersCount, 2);
    assert.equal(log.enabled("debug"), true);
  }),
);

Deno.test(
  "LogSystem makes no message that every output would drop",
  withSystem((system, directory) => {
    system.configure(toFile(directory, { level: 1, outputs: `4:file:${directory}/a 3:file:${directory}/b` }));
    assert.deepEqual([log.enabled("info"), log.enabled("warning")], [false, true]);
    log.warn("only b");
    assert.deepEqual(lines(`${directory}/a`), []);
    assert.deepEqual(lines(`${directory}/b`), ["warning : locking.lock_daemon : only b"]);
  }),
);

Deno.test(
  "LogSystem setOutputs() moves to the new outputs, and back to the default with an empty text",
  withSystem((system, directory) => {
    system.configure(toFile(directory));
    const descriptors = openDescriptors();
    system.setOutputs(`3:file:${directory}/b 4:file:${directory}/c`);
    assert.equal(system.outputsText(), `3:file:${directory}/b 4:file:${directory}/c`);
    assert.equal(system.outputsCount, 2);
    log.error("to both");
    system.setOutputs("");
    assert.equal(system.outputsText(), `1:file:${directory}/a.log`);
    log.error("default");
    assert.deepEqual(openedSince(descriptors), []);
    assert.deepEqual(lines(`${directory}/b`), ["error : locking.lock_daemon : to both"]);
    assert.deepEqual(lines(`${directory}/c`), ["error : locking.lock_daemon : to both"]);
    assert.deepEqual(lines(`${directory}/a.log`), ["error : locking.lock_daemon : default"]);
  }),
);

Deno.test(
  "LogSystem setOutputs() that fails leaves the old outputs at work",
  withSystem((system, directory) => {
    system.configure(toFile(directory));
    const descriptors = openDescriptors();
    assert.throws(() => system.setOutputs(`4:file:${directory}/b 3:bad`), LogConfigError);
    assert.throws(() => system.setOutputs(`4:file:${directory}/b 3:file:${directory}/none/c`), (error) => {
      return error instanceof SystemError && error.call === "open" && error.subject === `${directory}/none/c`;
    });
    assert.deepEqual(openedSince(descriptors), []);
    log.warn("still here");
    assert.deepEqual(lines(`${directory}/a.log`), ["warning : locking.lock_daemon : still here"]);
  }),
);

Deno.test(
  "LogSystem configure() again replaces everything, and nothing when it fails",
  withSystem((system, directory) => {
    system.configure(toFile(directory, { filters: "1:lock" }));
    assert.throws(
      () =>
        system.configure(toFile(directory, { level: 1, filters: "", outputs: `3:file:${directory}/no/b` })),
      SystemError,
    );
    assert.deepEqual([system.level, system.filtersText()], [3, "1:*lock* "]);
    system.configure(toFile(directory, { level: 2, outputs: `2:file:${directory}/b` }));
    log.info("moved");
    assert.deepEqual(lines(`${directory}/a.log`), []);
    assert.deepEqual(lines(`${directory}/b`), ["info : locking.lock_daemon : moved"]);
  }),
);

Deno.test(
  "LogSystem reopen() follows log rotation and says which output it could not reopen",
  withSystem((system, directory) => {
    Deno.mkdirSync(`${directory}/sub`);
    system.configure(
      toFile(directory, { outputs: `3:file:${directory}/a.log 3:file:${directory}/sub/b.log` }),
    );
    Deno.renameSync(`${directory}/a.log`, `${directory}/a.log.1`);
    Deno.renameSync(`${directory}/sub`, `${directory}/gone`);
    system.reopen();
    log.warn("after");
    const notice =
      `warning : util.log : Cannot reopen log output 3:file:${directory}/sub/b.log, keeping the old one: ` +
      "No such file or directory";
    assert.deepEqual(lines(`${directory}/a.log.1`), []);
    assert.deepEqual(lines(`${directory}/a.log`), [notice, "warning : locking.lock_daemon : after"]);
    assert.deepEqual(lines(`${directory}/gone/b.log`), [notice, "warning : locking.lock_daemon : after"]);
  }),
);

Deno.test("LogSystem goes on without an output that fails, and reports its losses when it is replaced", () => {
  const real = linuxSys();
  let full = true;
  const sys = sysWith({ write: (fd, bytes) => full ? -ENOSPC : real.write(fd, bytes) });
  withSystem((system, directory) => {
    system.configure(toFile(directory));
    log.warn("lost");
    log.warn("lost too");
    full = false;
    system.setOutputs(`3:file:${directory}/b`);
    assert.deepEqual(lines(`${directory}/b`), [
      `warning : util.log : Messages lost on log output 1:file:${directory}/a.log: 2, last reason: No space left on device`,
    ]);
  }, () => sys)();
});

Deno.test(
  "LogSystem passes fields on to journald",
  withSystem((system, directory) => {
    const server = new DatagramServer(`${directory}/journald`);
    system.configure(toFile(directory, { outputs: "3:journald" }));
    log.warn("Refused", { domain: "guest", resource: "a\nb", ownerPid: 7 });
    assert.equal(
      server.text(),
      "MESSAGE=Refused\nPRIORITY=4\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=virtlockd\n" +
        "LIBVIRT_SOURCE=locking.lock_daemon\nCODE_FILE=src/lockd/daemon/daemon.ts\nLIBVIRT_DOMAIN=guest\n" +
        "LIBVIRT_RESOURCE\n\x03\0\0\0\0\0\0\0a\nb\nLIBVIRT_OWNER_PID=7\n",
    );
    server.stop();
  }),
);

Deno.test(
  "LogSystem reports an error in an output's code instead of passing it on or hiding it",
  withSystem((system, directory) => {
    let broken = false;
    const paths = { syslog: "", journald: "" };
    const clock = () => {
      if (!broken) return TIME;
      broken = false;
      throw new Error("clock stopped");
    };
    const second = new LogSystem({ sys: linuxSys(), pid: 99, ident: "v", clock, paths });
    second.configure(toFile(directory));
    broken = true;
    log.warn("x");
    second.close();
    assert.equal(system.outputsCount, 0);
    assert.deepEqual(lines(`${directory}/a.log`), [
      "error : util.log : Cannot write a log record: Error: clock stopped",
    ]);
  }),
);

Deno.test(
  "LogSystem made last receives the messages, and close() of an older one does not silence it",
  withSystem((system, directory) => {
    system.configure(toFile(directory));
    const paths = { syslog: "", journald: "" };
    const second = new LogSystem({ sys: linuxSys(), pid: 99, ident: "v", clock: () => TIME, paths });
    second.configure(toFile(directory, { outputs: `3:file:${directory}/b` }));
    log.warn("to the second");
    system.close();
    log.warn("again");
    second.close();
    assert.equal(log.enabled("error"), false);
    assert.deepEqual(lines(`${directory}/a.log`), []);
    assert.equal(lines(`${directory}/b`).length, 2);
  }),
);
