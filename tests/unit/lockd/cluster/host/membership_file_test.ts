import assert from "node:assert/strict";
import { MembershipError, MembershipFile } from "../../../../../src/lockd/cluster/host/membership_file.ts";
import { ENOSPC } from "../../../../../src/os/errno.ts";
import { kernel } from "../../../../support/kernel.ts";
import { Scratch } from "../../../../support/scratch.ts";

const MEMBERSHIP = {
  boot: "b1",
  cluster: "prod",
  session: "s1",
  spaces: [{ name: "scsi", directory: "/locks" }],
};

Deno.test("a membership is found again in the same boot, and counts in no other", () => {
  using scratch = new Scratch();
  const file = new MembershipFile(kernel, scratch.file("m"));
  assert.equal(file.load("b1", "p"), undefined);
  assert.equal(file.save(MEMBERSHIP), undefined);
  assert.deepEqual(file.load("b1", "p"), MEMBERSHIP);
  assert.equal(file.load("b2", "p"), undefined);
  assert.equal((Deno.statSync(file.path).mode ?? 0) & 0o777, 0o600);
});

Deno.test("a membership that was copied with its host counts on no other one, also on the same kernel", () => {
  using scratch = new Scratch();
  const file = new MembershipFile(kernel, scratch.file("m"));
  const membership = { ...MEMBERSHIP, place: "4026532200 0:40" };
  assert.equal(file.save(membership), undefined);
  assert.deepEqual(file.load("b1", "4026532200 0:40"), membership);
  assert.equal(file.load("b1", "4026532300 0:41"), undefined);
  // Whether this is that host cannot be told.
  assert.throws(() => file.load("b1", ""), MembershipError);
});

Deno.test("what etcd was, and how it was reached, is kept with it until the host leaves", () => {
  using scratch = new Scratch();
  const file = new MembershipFile(kernel, scratch.file("m"));
  const membership = {
    ...MEMBERSHIP,
    seen: { etcd: "7", session: 12, meta: 3, round: "r", settled: true },
    nonces: ["n1", "n2"],
    reach: { host: "h1", endpoints: ["https://etcd1:2379"], caFile: "/ca.pem" },
  };
  assert.equal(file.save(membership), undefined);
  assert.deepEqual(file.load("b1", "p"), membership);
  file.remove();
  assert.equal(file.load("b1", "p"), undefined);
});

Deno.test("a membership is written anew in a full file system, where it was kept before", () => {
  using scratch = new Scratch();
  let most = 2;
  const used = () => [...Deno.readDirSync(scratch.path)].length;
  const sys = {
    ...kernel,
    write: (fd: number, bytes: Uint8Array) => used() > most ? -ENOSPC : kernel.write(fd, bytes),
  };
  const file = new MembershipFile(sys, scratch.file("m"));
  assert.equal(file.save(MEMBERSHIP), undefined);
  for (const session of ["s2", "s3"]) {
    assert.equal(file.save({ ...MEMBERSHIP, session }), undefined);
    assert.equal(file.load("b1", "p")?.session, session);
  }
  // The next daemon has it too.
  assert.equal(new MembershipFile(sys, file.path).save({ ...MEMBERSHIP, session: "s4" }), undefined);
  most = 0;
  assert.equal(
    file.save({ ...MEMBERSHIP, session: "s5" }),
    `write ${file.path}.new: No space left on device (ENOSPC)`,
  );
  assert.equal(file.load("b1", "p")?.session, "s4");
  file.remove();
  assert.equal(used(), 0);
});

Deno.test("what a host has written into its session can be forgotten, and nothing else with it", () => {
  using scratch = new Scratch();
  const file = new MembershipFile(kernel, scratch.file("m"));
  assert.throws(() => file.forgetNonces(), {
    name: "MembershipError",
    message: `${file.path} is not there`,
    fault: "absent",
  });
  file.save({ ...MEMBERSHIP, nonces: ["n1"] });
  file.forgetNonces();
  assert.deepEqual(file.load("b1", "p"), MEMBERSHIP);
});

for (
  const [text, wrong] of [
    ["", 'expected JSON (Unexpected end of JSON input), got ""'],
    ["[]", "expected an object, got an array"],
    ["null", "expected an object, got null"],
    ['{"boot":"b1"}', "cluster: expected a string, got nothing"],
    [
      '{"boot":"b1","cluster":"c","session":"s","spaces":[{}]}',
      "spaces[0].name: expected a string, got nothing",
    ],
    [
      '{"boot":"b1","place":7,"cluster":"c","session":"s","spaces":[]}',
      "place: expected a string, got 7",
    ],
    [
      '{"boot":"b1","cluster":"c","session":"s","spaces":[],"seen":{"etcd":"7"}}',
      "seen.session: expected a number, got nothing",
    ],
    [
      '{"boot":"b1","cluster":"c","session":"s","spaces":[],"seen":{"etcd":"7","session":1,"meta":1,"round":"r","settled":1}}',
      "seen.settled: expected true or false, got 1",
    ],
    [
      '{"boot":"b1","cluster":"c","session":"s","spaces":[],"seen":{"etcd":"7","session":1,"meta":1,"round":"r","fenced":1}}',
      "seen.fenced: expected a string, got 1",
    ],
    [
      '{"boot":"b1","cluster":"c","session":"s","spaces":[],"nonces":"n1"}',
      'nonces: expected an array, got "n1"',
    ],
    [
      '{"boot":"b1","cluster":"c","session":"s","spaces":[],"nonces":[1]}',
      "nonces[0]: expected a string, got 1",
    ],
    [
      '{"boot":"b1","cluster":"c","session":"s","spaces":[],"reach":{"host":"h","endpoints":[7]}}',
      "reach.endpoints[0]: expected a string, got 7",
    ],
  ] as const
) {
  Deno.test(`'${text}' may be a membership: nobody is told that there is none, and what is wrong with it is`, () => {
    using scratch = new Scratch();
    const file = new MembershipFile(kernel, scratch.write("m", text));
    assert.throws(() => file.load("b1", "p"), {
      name: "MembershipError",
      message: `${file.path} is not understood: ${wrong}`,
      fault: "unread",
    });
  });
}

Deno.test("what another boot has left need not be understood", () => {
  using scratch = new Scratch();
  assert.equal(new MembershipFile(kernel, scratch.write("m", '{"boot":"b0"}')).load("b1", "p"), undefined);
});

Deno.test("a membership that cannot be read is none that is not there", () => {
  using scratch = new Scratch();
  const file = new MembershipFile(kernel, scratch.file("m"));
  Deno.mkdirSync(file.path);
  assert.throws(() => file.load("b1", "p"), MembershipError);
});

Deno.test("a membership may be long, and its directories are called as they like", () => {
  using scratch = new Scratch();
  const file = new MembershipFile(kernel, scratch.file("m"));
  const spaces = Array.from({ length: 64 }, (_, index) => ({
    name: `s${index}`,
    directory: `/srv/Sperren für Plätze/${"x".repeat(200)}/${index}`,
  }));
  assert.equal(file.save({ ...MEMBERSHIP, spaces }), undefined);
  assert.deepEqual(file.load("b1", "p"), { ...MEMBERSHIP, spaces });
});

Deno.test("why it could not be written is told, and the old one is there", () => {
  using scratch = new Scratch();
  const file = new MembershipFile(kernel, scratch.file("none/m"));
  assert.match(file.save(MEMBERSHIP) ?? "", /open .*none\/m\.new: No such file or directory/i);
});
