import assert from "node:assert/strict";
import { isRemovable } from "../../../../src/lockd/cli/removal.ts";
import type { Trial } from "../../../../src/lockd/cli/successor_trial.ts";
import type { LockEntry } from "../../../../src/lockd/status/status_document.ts";
import { rpcError } from "../../../../src/chassis/wire/rpc_error.ts";
import { Scratch } from "../../../support/scratch.ts";
import { lock, onlyPage, PlayedDaemon, STATUS } from "./cli_fixture.ts";

/** A program that is there. */
const PROGRAM = "/bin/true";
const STARTS: Trial = { kind: "starts" };

/** What a removal says, and whether it may go on. */
function removable(
  locks: readonly LockEntry[],
  trial: Trial,
  { program = PROGRAM, configurationFile = "/nowhere/x.conf", sections = STATUS.sections } = {},
): { may: boolean; said: string } {
  const documents = [undefined, { ...STATUS, configurationFile, sections }, locks, []];
  const daemon = new PlayedDaemon((procedure) => onlyPage(documents[procedure]));
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  const may = isRemovable({ sys: daemon.sys, socket: "/s", say, trial: () => trial }, program);
  return { may, said: lines.join("\n") };
}

Deno.test("isRemovable() needs libvirt's daemon to start, but only while locks are held", () => {
  const fails: Trial = { kind: "fails", reason: "it does not like it" };
  assert.deepEqual(removable([], fails), { may: true, said: "" });
  assert.match(
    removable([lock({ id: 1 }), lock({ id: 2 })], fails).said,
    /^Not removed: libvirt's virtlockd would not start and lose 2 locks of the guests 'guest1', 'guest2': it does not like it\n/,
  );
  assert.equal(removable([lock({ id: 1 })], fails).may, false);
  assert.equal(removable([lock({ id: 1 })], { kind: "hangs", reason: "it did not end" }).may, false);
  const absent = removable([lock({ id: 1 })], STARTS, { program: "/nowhere/virtlockd" });
  assert.equal(absent.may, false);
  assert.match(absent.said, /: \/nowhere\/virtlockd is not there, its package is not installed\n/);
});

Deno.test("isRemovable() gives no host of a cluster back, with or without locks, and says what to do first", () => {
  const cluster = {
    name: "prod",
    host: "kvm7",
    session: "s",
    state: "live",
    locks: 0,
    local: 0,
    lost: 0,
    parked: 0,
    left: 0,
    releasing: 0,
    unknown: 0,
  } as const;
  const { may, said } = removable([], STARTS, { sections: { ...STATUS.sections, cluster } });
  assert.equal(may, false);
  assert.match(
    said,
    /^Not removed: this host is in cluster prod, of which libvirt's virtlockd knows nothing: /,
  );
  assert.match(
    said,
    /\nvirtlockd cluster leave kvm7; take the cluster_ keys out of virtlockd\.conf; virtlockd reload\.\nIf deno-virtlockd-cluster has just been removed with it, install that again before anything else\.$/,
  );
});

Deno.test("isRemovable() names guests whose end libvirt's daemon would not notice", () => {
  const { may, said } = removable([lock({ id: 1 })], STARTS);
  assert.equal(may, true);
  assert.match(said, /^Mind domain 'guest1' \(uuid \S+, pid 41\), which has no connection of its own: /);
  assert.match(said, /and keeps \/ls\/r1 locked\. Suspend it with virsh before it is destroyed/);
});

Deno.test("isRemovable() reads the configuration itself: to be precise, and where libvirt's daemon cannot be tried", () => {
  using scratch = new Scratch();
  const bad = { configurationFile: scratch.write("bad.conf", "max_clients = 0\n") };
  const good = { configurationFile: scratch.write("good.conf", "max_clients = 9\n") };
  const wrong =
    `${bad.configurationFile}:1: expected an integer from 1 to 4294967295 for "max_clients", got 0`;
  const held = [lock({ id: 1 })];
  assert.ok(
    removable(held, { kind: "fails", reason: "no" }, bad).said.includes(`: ${wrong} (it says: no)\n`),
  );
  assert.ok(removable(held, { kind: "untried" }, bad).said.includes(`: ${wrong}\n`));
  assert.equal(removable(held, { kind: "untried" }, good).may, true);
});

Deno.test("isRemovable() waits for a daemon that does not answer, and says what to do when it never does", () => {
  const daemon = new PlayedDaemon(() => "silence");
  const lines: string[] = [];
  assert.equal(
    isRemovable({ sys: daemon.sys, socket: "/s", say: (line) => lines.push(line) }, PROGRAM),
    false,
  );
  assert.match(lines.join("\n"), /^Not removed: The daemon at \/s did not answer within 5 s\. Only a daemon/);
  assert.match(lines.join("\n"), /and only then: systemctl stop virtlockd.socket virtlockd.service/);
  assert.ok(daemon.waited >= 10_000, `${daemon.waited} ms`);
});

Deno.test("isRemovable() has nothing to ask libvirt's own daemon", () => {
  const foreign = new PlayedDaemon(() => rpcError(7, "Cannot find program 1"));
  const say = () => assert.fail("nothing is to be said");
  assert.equal(isRemovable({ sys: foreign.sys, socket: "/s", say }, PROGRAM), true);
});
