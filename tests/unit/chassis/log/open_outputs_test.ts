import assert from "node:assert/strict";
import { openOutputs } from "../../../../src/chassis/log/open_outputs.ts";
import { parseOutputs } from "../../../../src/chassis/log/outputs.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { DatagramServer, entry, inDirectory, line } from "./log_fixture.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

Deno.test(
  "openOutputs() opens each kind at the paths given",
  inDirectory((directory) => {
    const paths = { syslog: `${directory}/log`, journald: `${directory}/journal` };
    const syslog = new DatagramServer(paths.syslog);
    const journald = new DatagramServer(paths.journald);
    const outputs = openOutputs(
      { sys: linuxSys(), ident: "virtlockd", paths },
      parseOutputs(`3:file:${directory}/a.log 3:syslog:other 3:journald`),
    );
    for (const output of outputs) output.write(entry());
    assert.equal(Deno.readTextFileSync(`${directory}/a.log`), line("text"));
    assert.match(syslog.text() ?? "", /^<28>.* other: 21465: warning : locking\.lock_daemon : text$/);
    assert.match(journald.text() ?? "", /^MESSAGE=text\n(.*\n)*SYSLOG_IDENTIFIER=virtlockd\n/);
    for (const output of outputs) output.close();
    syslog.stop();
    journald.stop();
  }),
);

Deno.test(
  "openOutputs() leaves nothing open when one of them fails",
  inDirectory((directory) => {
    const before = openDescriptors();
    const environment = { sys: linuxSys(), ident: "v", paths: { syslog: "", journald: "" } };
    assert.throws(
      () => openOutputs(environment, parseOutputs(`1:file:${directory}/a 1:file:${directory}/none/b`)),
      (error) => error instanceof SystemError && error.subject === `${directory}/none/b`,
    );
    assert.deepEqual(openedSince(before), []);
  }),
);
