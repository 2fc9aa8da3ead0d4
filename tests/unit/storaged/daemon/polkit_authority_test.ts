import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { getLog } from "../../../../src/chassis/log/log.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { PolkitAuthority } from "../../../../src/storaged/daemon/polkit_authority.ts";
import type { Verdict } from "../../../../src/storaged/programs/authentication.ts";
import type { ClientLink } from "../../../../src/storaged/rpc/client_link.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

const STRANGER = 4711;

/** This process as a client of another user. */
function client(readOnly: boolean, pidfd: number, uid = STRANGER): ClientLink {
  return {
    clientId: 1,
    pid: Deno.pid,
    uid,
    gid: uid,
    connectedAt: 0,
    security: "",
    pidfd,
    readOnly,
    authenticated: false,
    restrict() {},
    authenticate() {},
    keepAlive() {},
    tell() {},
  };
}

/** Asks a pkcheck that is this shell script; what came of it, and what it was called with. */
function ask(script: string, readOnly = false, installed = true): { verdict: Verdict; called: string } {
  using scratch = new Scratch();
  const path = scratch.write("pkcheck", `#!/bin/sh\necho "$@" >${scratch.file("called")}\n${script}\n`);
  Deno.chmodSync(path, 0o755);
  const loop = new EventLoop(kernel);
  const pidfd = kernel.pidfdOpen(Deno.pid);
  const authority = new PolkitAuthority({
    sys: kernel,
    loop,
    ledger: new DescriptorLedger(kernel),
    env: [],
    uid: 0,
    method: () => "polkit",
    pkcheck: () => installed ? path : undefined,
    log: getLog("storage.test", "tests/unit/storaged/daemon/polkit_authority_test.ts"),
  });
  let verdict: Verdict | undefined;
  authority.ask(client(readOnly, pidfd), (told) => verdict = told);
  assert.equal(verdict, undefined);
  while (verdict === undefined) loop.turn(-1);
  kernel.close(pidfd);
  loop.close();
  return { verdict, called: installed ? Deno.readTextFileSync(scratch.file("called")) : "" };
}

Deno.test("polkit is asked about the very process, by its number, start time and user", () => {
  const stat = Deno.readTextFileSync("/proc/self/stat");
  const start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  const subject = `--process ${Deno.pid},${start},4711 --allow-user-interaction\n`;
  assert.equal(ask("exit 0").called, `--action-id org.libvirt.unix.manage ${subject}`);
  assert.equal(ask("exit 0", true).called, `--action-id org.libvirt.unix.monitor ${subject}`);
});

Deno.test("what pkcheck ends with is the verdict", () => {
  assert.deepEqual(ask("exit 0").verdict, { kind: "granted" });
  assert.deepEqual(ask("exit 1").verdict, { kind: "denied" });
  assert.deepEqual(ask("exit 2").verdict, { kind: "no-agent", action: "org.libvirt.unix.manage" });
  assert.deepEqual(ask("exit 2", true).verdict, { kind: "no-agent", action: "org.libvirt.unix.monitor" });
  assert.deepEqual(ask("exit 3").verdict, { kind: "cancelled" });
  assert.deepEqual(ask("echo no bus; exit 126").verdict, { kind: "failed", reason: "no bus" });
});

Deno.test("a pkcheck that is killed, and one that is not there, let nobody in", () => {
  assert.equal(ask("kill -9 $$").verdict.kind, "failed");
  assert.deepEqual(ask("", false, false).verdict, { kind: "failed", reason: "polkit is not installed" });
});

Deno.test("root and the daemon's own user are not asked about", () => {
  const authority = new PolkitAuthority({
    sys: kernel,
    loop: new EventLoop(kernel),
    ledger: new DescriptorLedger(kernel),
    env: [],
    uid: 1000,
    method: (readOnly) => readOnly ? "none" : "polkit",
    pkcheck: () => undefined,
    log: getLog("storage.test", "tests/unit/storaged/daemon/polkit_authority_test.ts"),
  });
  assert.equal(authority.methodFor(client(false, -1, 0)), "none");
  assert.equal(authority.methodFor(client(false, -1, 1000)), "none");
  assert.equal(authority.methodFor(client(false, -1)), "polkit");
  assert.equal(authority.methodFor(client(true, -1)), "none");
  const trusted = [0, 1000, 1001].map((uid) => authority.trusts(client(true, -1, uid)));
  assert.deepEqual(trusted, [true, true, false]);
});
