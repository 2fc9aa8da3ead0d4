import assert from "node:assert/strict";
import { SyslogOutput } from "../../../../src/chassis/log/syslog_output.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { DatagramServer, entry, inDirectory } from "./log_fixture.ts";

Deno.test(
  "SyslogOutput send() gives priority, local time, ident and libvirt's line without its time",
  inDirectory((directory) => {
    const path = `${directory}/log`;
    const server = new DatagramServer(path);
    const output = new SyslogOutput(linuxSys(), path, "my-ident");
    const time = new Date(2026, 10, 5, 9, 8, 7).getTime();
    const received = ([1, 2, 3, 4] as const).map((level) => {
      assert.equal(output.send(entry({ level, time })), 0);
      return server.text();
    });
    assert.deepEqual(received, [
      "<31>Nov  5 09:08:07 my-ident: 21465: debug : locking.lock_daemon : text",
      "<30>Nov  5 09:08:07 my-ident: 21465: info : locking.lock_daemon : text",
      "<28>Nov  5 09:08:07 my-ident: 21465: warning : locking.lock_daemon : text",
      "<27>Nov  5 09:08:07 my-ident: 21465: error : locking.lock_daemon : text",
    ]);
    output.close();
    server.stop();
  }),
);

Deno.test(
  "SyslogOutput reopen() connects anew",
  inDirectory((directory) => {
    const path = `${directory}/log`;
    const old = new DatagramServer(path);
    const output = new SyslogOutput(linuxSys(), path, "x");
    output.send(entry());
    // The old service still has its socket open, but another one has taken its name.
    Deno.renameSync(path, `${path}.old`);
    const now = new DatagramServer(path);
    assert.equal(output.reopen(), 0);
    output.send(entry({ time: new Date(2026, 0, 2, 3, 4, 5).getTime() }));
    assert.equal(now.text(), "<28>Jan  2 03:04:05 x: 21465: warning : locking.lock_daemon : text");
    output.close();
    old.stop();
    now.stop();
  }),
);
