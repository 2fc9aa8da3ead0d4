import assert from "node:assert/strict";
import { CommandError } from "../../../../src/chassis/cli/command.ts";
import type { Confirmation } from "../../../../src/chassis/cli/confirm.ts";
import { UsageError } from "../../../../src/chassis/config/usage_error.ts";
import { operationDenied } from "../../../../src/chassis/wire/rpc_error.ts";
import { releaseCommand } from "../../../../src/lockd/cli/release.ts";
import type { LockEntry, ReleaseDocument } from "../../../../src/lockd/status/status_document.ts";
import type { ReleaseArgs } from "../../../../src/lockd/wire/status_protocol.ts";
import { context, given, lock, onlyPage, PlayedDaemon, type Reaction, UUID } from "./cli_fixture.ts";

const LIST_LOCKS = 2;
const RELEASED: ReleaseDocument = {
  lockspace: "/ls",
  resource: "r1",
  owner: { domain: "guest1", uuid: UUID, pid: 41 },
  ownerProcess: "unjudged",
  stillShared: false,
};
const LOCKS = [
  lock({ id: 1 }),
  lock({ id: 2, lockspace: "", resource: "/img/a", path: "/img/a" }),
  lock({ id: 3, lockspace: "/other", path: "/other/r1", resource: "r1" }),
  // printf /img/b | sha256sum
  lock({ id: 4, resource: "e5cd120b3525183b991585d571e801887d7bdc7cc0898b064e0954de21b8c481" }),
];

/** What a command line has done. */
interface Outcome {
  readonly orders: readonly ReleaseArgs[];
  readonly questions: readonly string[];
  /** What it printed, or said in vain. */
  readonly said: string;
}

async function release(
  args: string[],
  answer: Confirmation = "nobody",
  reaction: Reaction = onlyPage(RELEASED),
  locks: readonly LockEntry[] = LOCKS,
): Promise<Outcome> {
  const daemon = new PlayedDaemon((procedure) => procedure === LIST_LOCKS ? onlyPage(locks) : reaction);
  const questions: string[] = [];
  const told = context(daemon.sys, {
    confirm: (question) => {
      questions.push(question);
      return answer;
    },
  });
  let said: string;
  try {
    await releaseCommand.run(told, given(releaseCommand, ...args));
    said = told.out.text;
  } catch (error) {
    if (error instanceof CommandError) said = `${error.code} ${error.message}`;
    else if (error instanceof UsageError) said = error.message;
    else throw error;
  }
  return { orders: daemon.orders, questions, said };
}

/** Which lock is ordered. */
async function ordered(...args: string[]): Promise<string[]> {
  return (await release([...args, "--yes"])).orders.map(({ lockspace, resource }) =>
    `${lockspace} ${resource}`
  );
}

Deno.test("release asks first, and says what has come of it", async () => {
  const { orders, questions, said } = await release(["/ls/r1"], "yes");
  assert.deepEqual(orders, [{ flags: 0, lockspace: "/ls", resource: "r1", uuid: UUID, guest: "" }]);
  assert.equal(questions.length, 1);
  assert.match(
    questions[0] ?? "",
    new RegExp(
      `^Lock on /ls/r1, exclusive, held by\n  domain 'guest1' \\(uuid ${UUID}, pid 41\\) since 2026-11-21 13:09:38Z\n` +
        'Another guest may have the disk .*\n.*Type "yes" to release the lock: $',
    ),
  );
  assert.equal(
    said,
    `Released /ls/r1 of domain 'guest1' (uuid ${UUID}, pid 41), whose process could not be judged. It is free.\n`,
  );
});

Deno.test("release does nothing without a yes", async () => {
  assert.deepEqual([(await release(["/ls/r1"], "no")).orders, (await release(["/ls/r1"], "no")).said], [
    [],
    "1 Nothing was released",
  ]);
  assert.deepEqual([(await release(["/ls/r1"])).orders, (await release(["/ls/r1"])).said], [
    [],
    '1 Without a terminal to ask at, "--yes" is needed',
  ]);
  assert.deepEqual((await release(["/ls/r1", "--yes"], "no")).questions, []);
});

Deno.test("release finds the lock by path, by name, or by the disk whose hash is its name", async () => {
  assert.deepEqual(await ordered("/ls/r1"), ["/ls r1"]);
  assert.deepEqual(await ordered("/img/a"), [" /img/a"]);
  assert.deepEqual(await ordered("r1", "--lockspace", "/other"), ["/other r1"]);
  assert.deepEqual(await ordered("/img/b"), [
    "/ls e5cd120b3525183b991585d571e801887d7bdc7cc0898b064e0954de21b8c481",
  ]);
  assert.equal(
    (await release(["r1", "--yes"])).said,
    "1 r1 is locked in several lock directories, choose one with --lockspace: /ls, /other",
  );
  assert.equal((await release(["/x", "--yes"])).said, "1 There is no lock on /x; virtlockd locks lists them");
  assert.equal(
    (await release(["r1", "--lockspace", "/x"])).said,
    "1 There is no lock on r1 in /x; virtlockd locks lists them",
  );
});

Deno.test("release takes the lock directory as the list shows it", async () => {
  const locks = [...LOCKS, lock({ id: 9, lockspace: "/a\tb", path: "/a\tb/r1", resource: "r1" })];
  const { orders } = await release(
    ["r1", "--lockspace", "/a\\tb", "--yes"],
    "nobody",
    onlyPage(RELEASED),
    locks,
  );
  assert.deepEqual(orders.map(({ lockspace }) => lockspace), ["/a\tb"]);
});

Deno.test("release passes on uuid, force and guest, of which the last two need each other", async () => {
  const { orders } = await release(["/ls/r1", "--yes", "--uuid", "U", "--force", "--guest", "guest1"]);
  assert.deepEqual(orders, [{ flags: 1, lockspace: "/ls", resource: "r1", uuid: "U", guest: "guest1" }]);
  for (const args of [["--force"], ["--guest", "x"]]) {
    assert.equal(
      (await release(["/ls/r1", "--yes", ...args])).said,
      'Options "--force" and "--guest" need each other',
    );
  }
});

Deno.test("release passes on why the daemon refuses, and prints JSON for programs", async () => {
  assert.equal((await release(["/ls/r1", "--yes"], "no", operationDenied(0, "It lives"))).said, "1 It lives");
  assert.deepEqual(JSON.parse((await release(["/ls/r1", "--yes", "--json"])).said), RELEASED);
  const shared = onlyPage({ ...RELEASED, ownerProcess: "alive", stillShared: true });
  assert.match(
    (await release(["/ls/r1", "--yes"], "no", shared)).said,
    /, whose process lives\. Others still share it\.\n$/,
  );
});

Deno.test("release frees nothing when somebody else has got the lock while the administrator was asked", async () => {
  const changed = async (lock_: LockEntry, args = ["/ls/r1"]) => {
    const looks = [LOCKS, [lock_, ...LOCKS.slice(1)]];
    const daemon = new PlayedDaemon((procedure) =>
      onlyPage(procedure === LIST_LOCKS ? looks.shift() ?? assert.fail() : RELEASED)
    );
    const told = context(daemon.sys, { confirm: () => "yes" });
    let said = "";
    try {
      await releaseCommand.run(told, given(releaseCommand, ...args));
    } catch (error) {
      said = error instanceof CommandError ? error.message : assert.fail(String(error));
    }
    return [daemon.orders.length, said];
  };
  const refused = [0, "Nothing was released: meanwhile the lock was released or given to somebody else"];
  assert.deepEqual(await changed(lock({ id: 9, resource: "r1", path: "/ls/r1" })), refused);
  const [holder = assert.fail()] = lock({ id: 1 }).holders;
  assert.deepEqual(await changed(lock({ id: 1, holders: [{ ...holder, since: 5 }] })), refused);
  assert.deepEqual(await changed(lock({ id: 1, holders: [holder, { ...holder, uuid: "other" }] })), refused);
  assert.deepEqual(await changed(lock({ id: 1 })), [1, ""]);
});

Deno.test("release chooses among several only by the administrator's word", async () => {
  const [holder = assert.fail()] = lock({ id: 1 }).holders;
  const uuids = async (entry: LockEntry) =>
    (await release(["/ls/r1", "--yes"], "no", onlyPage(RELEASED), [entry])).orders.map(({ uuid }) => uuid);
  assert.deepEqual(await uuids(lock({ id: 1, holders: [holder, { ...holder, uuid: "other" }] })), [""]);
  assert.deepEqual(await uuids(lock({ id: 1, moreHolders: 1 })), [""]);
});

Deno.test("release calls a guest without a name by its process", async () => {
  const owner = { domain: "", uuid: UUID, pid: 41 };
  const locks = [lock({ id: 1, holders: [{ ...owner, id: 0, since: 0, times: 1 }] })];
  const { said, questions } = await release(["/ls/r1"], "yes", onlyPage({ ...RELEASED, owner }), locks);
  assert.match(questions.join(), /held by\n {2}the guest of process 41 since an unknown time\n/);
  assert.equal(
    said,
    "Released /ls/r1 of the guest of process 41, whose process could not be judged. It is free.\n",
  );
});

Deno.test("release finds the lock of a disk that is named by another path", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "virtlockd-test-" });
  try {
    const disk = `${directory}/disk`;
    Deno.writeTextFileSync(disk, "");
    Deno.symlinkSync(disk, `${directory}/link`);
    const locks = [lock({ id: 1 }), lock({ id: 2, lockspace: "", resource: disk, path: disk })];
    const { orders } = await release([`${directory}/link`, "--yes"], "no", onlyPage(RELEASED), locks);
    assert.deepEqual(orders.map(({ lockspace, resource }) => [lockspace, resource]), [["", disk]]);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("release finds a lock by its name as the list shows it, unless another one is called that", async () => {
  const odd = lock({ id: 1, resource: "a\tb", path: "/ls/a\tb" });
  const plain = lock({ id: 2, resource: "a\\tb", path: "/ls/a\\tb" });
  const freed = async (named: string, locks: readonly LockEntry[]) => {
    return (await release([named, "--yes"], "nobody", onlyPage(RELEASED), locks)).orders.map((order) =>
      order.resource
    );
  };
  assert.deepEqual(await freed("a\\tb", [odd]), ["a\tb"]);
  assert.deepEqual(await freed("/ls/a\\tb", [odd]), ["a\tb"]);
  assert.deepEqual(await freed("a\\tb", [odd, plain]), ["a\\tb"]);
  assert.deepEqual(await freed("a\tb", [odd, plain]), ["a\tb"]);
});
