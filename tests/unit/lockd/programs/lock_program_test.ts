import assert from "node:assert/strict";
import { GrantTrail } from "../../../../src/lockd/lockspace/grant_trail.ts";
import type { Done, Refusal } from "../../../../src/lockd/lockspace/refusal.ts";
import {
  lockProgram,
  type LockProgramParts,
  LockSession,
} from "../../../../src/lockd/programs/lock_program.ts";
import { LockProcedure } from "../../../../src/lockd/wire/lock_protocol.ts";
import {
  encodeCreateLockspace,
  encodeNew,
  encodeRegister,
  encodeResource,
  encodeRestrict,
} from "../../../support/lock_codec.ts";
import type { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";
import { type Answer, call, peer } from "./program_fixture.ts";

const OWNER = { pid: 4242, id: 7, name: "guest", uuid: "6ba7b810-9dad-41d1-80b4-00000000002a" };
const UNREGISTERED = [55, 7, "Requested operation is not valid: lock owner details have not been registered"];
const RESTRICTED = [29, 7, "operation forbidden: lock manager connection has been restricted"];

/** A connection to the lock program over a table that the test answers for. */
class Stage {
  /** What the table is to answer; "later" keeps the answer for {@link pending}. */
  answer: Refusal | undefined | "later";
  readonly pending: Done[] = [];
  readonly events: string[] = [];
  /** Of each ask for a lock, whether more may have been granted over the connection than is known. */
  readonly trails: string[] = [];
  readonly program;
  readonly connection;

  constructor(pid = OWNER.pid) {
    const ask = (what: string, done: Done) => {
      this.events.push(what);
      if (this.answer === "later") this.pending.push(done);
      else done(this.answer);
    };
    const table: LockProgramParts["table"] = {
      newLockspace: (path, done) => ask(`new ${path}`, done),
      ensureLockspace: (path, done) => ask(`ensure ${path}`, done),
      createResource: (path, name, done) => ask(`create ${path} ${name}`, done),
      deleteResource: (path, name, done) => ask(`delete ${path} ${name}`, done),
      acquire: (path, name, { shared, autocreate }, owner, done, trail) => {
        this.trails.push(trail?.isLost === true ? "lost" : "whole");
        ask(`acquire ${path} ${name} ${shared} ${autocreate} ${owner.name}`, done);
      },
      abandon: () => {},
      release: (path, name, owner, done) => ask(`release ${path} ${name} ${owner.name}`, done),
    };
    const parts: LockProgramParts = {
      table,
      reaper: {
        end: ({ pid: ended }) => this.events.push(`end ${ended}`),
        granted: () => {},
      },
      watch: { connected() {}, disconnected() {}, leaveUnwatched() {} },
      namespaces: { register: (_peer, owner) => ({ owner, uncertain: false }) },
      observer: {
        registered: ({ owner }) => this.events.push(`registered ${owner?.name}`),
        restricted: () => this.events.push("restricted"),
      },
    };
    this.program = lockProgram(parts);
    this.connection = this.program.connect(peer({ pid }));
  }

  call(procedure: number, encode: (writer: XdrWriter) => void): Answer {
    return call(this.connection, procedure, encode);
  }

  register(owner = OWNER, flags = 0): Answer {
    return this.call(LockProcedure.REGISTER, (writer) => encodeRegister(writer, { owner, flags }));
  }

  restrict(flags = 0): Answer {
    return this.call(LockProcedure.RESTRICT, (writer) => encodeRestrict(writer, { flags }));
  }

  resource(procedure: number, flags = 0): Answer {
    return this.call(procedure, (writer) => encodeResource(writer, { path: "/ls", name: "r", flags }));
  }

  newLockspace(flags = 0): Answer {
    return this.call(LockProcedure.NEW, (writer) => encodeNew(writer, { path: "/ls", flags }));
  }

  createLockspace(): Answer {
    return this.call(
      LockProcedure.CREATE_LOCKSPACE,
      (writer) => encodeCreateLockspace(writer, { path: "/ls" }),
    );
  }

  /** What the table and the others were asked since the last time. */
  asked(): string[] {
    return this.events.splice(0);
  }
}

/** Code, domain and message of a refusal. */
function refusal(answer: Answer): unknown[] {
  return answer.kind === "failed" ? [answer.code, answer.domain, answer.message] : [answer.kind];
}

const RESOURCE_PROCEDURES = [
  LockProcedure.CREATE_RESOURCE,
  LockProcedure.DELETE_RESOURCE,
  LockProcedure.ACQUIRE_RESOURCE,
  LockProcedure.RELEASE_RESOURCE,
];

Deno.test("the lock program has an entry for each number of the protocol", () => {
  const { program } = new Stage();
  assert.deepEqual([...program.procedureNames.keys()].sort(), Object.values(LockProcedure).sort());
});

Deno.test("lockProgram() passes requests of a registered client to the table", () => {
  const stage = new Stage();
  assert.equal(stage.register().kind, "ok");
  assert.equal(stage.newLockspace().kind, "ok");
  assert.equal(stage.createLockspace().kind, "ok");
  for (const procedure of RESOURCE_PROCEDURES) assert.equal(stage.resource(procedure).kind, "ok");
  assert.equal(stage.resource(LockProcedure.ACQUIRE_RESOURCE, 1).kind, "ok");
  assert.equal(stage.resource(LockProcedure.ACQUIRE_RESOURCE, 2).kind, "ok");
  assert.equal(stage.resource(LockProcedure.ACQUIRE_RESOURCE, 3).kind, "ok");
  assert.deepEqual(stage.asked(), [
    "registered guest",
    "new /ls",
    "ensure /ls",
    "create /ls r",
    "delete /ls r",
    "acquire /ls r false false guest",
    "release /ls r guest",
    "acquire /ls r true false guest",
    "acquire /ls r false true guest",
    "acquire /ls r true true guest",
  ]);
});

Deno.test("lockProgram() answers with the table's refusal", () => {
  const stage = new Stage();
  stage.register();
  stage.answer = { kind: "lockspace-missing", path: "/ls" };
  const wanted = [1, 7, "internal error: Lockspace for path /ls does not exist"];
  for (const procedure of RESOURCE_PROCEDURES) assert.deepEqual(refusal(stage.resource(procedure)), wanted);
});

Deno.test("lockProgram() asks nothing of the table for a client that has not registered", () => {
  const stage = new Stage();
  for (const procedure of RESOURCE_PROCEDURES) {
    assert.deepEqual(refusal(stage.resource(procedure)), UNREGISTERED);
  }
  assert.deepEqual(refusal(stage.newLockspace()), UNREGISTERED);
  assert.deepEqual(refusal(stage.restrict()), UNREGISTERED);
  assert.deepEqual(refusal(stage.register({ ...OWNER, id: 0 })), UNREGISTERED);
  assert.deepEqual(stage.asked(), []);
  assert.equal(stage.createLockspace().kind, "ok");
});

Deno.test("lockProgram() lets a restricted client do nothing", () => {
  const stage = new Stage();
  stage.register();
  assert.equal(stage.restrict().kind, "ok");
  assert.deepEqual(stage.asked(), ["registered guest", "restricted"]);
  for (const procedure of RESOURCE_PROCEDURES) {
    assert.deepEqual(refusal(stage.resource(procedure)), RESTRICTED);
  }
  assert.deepEqual(refusal(stage.newLockspace()), RESTRICTED);
  assert.deepEqual(refusal(stage.createLockspace()), RESTRICTED);
  assert.deepEqual(refusal(stage.restrict()), RESTRICTED);
  assert.deepEqual(refusal(stage.register()), RESTRICTED);
  assert.deepEqual(stage.asked(), []);
});

Deno.test("lockProgram() checks flags before restriction and registration", () => {
  const unsupported = (bits: string, name: string) => [
    8,
    7,
    `unsupported flags (0x${bits}) in function virLockSpaceProtocolDispatch${name}`,
  ];
  const unregistered = new Stage();
  const restricted = new Stage();
  restricted.register();
  restricted.restrict();
  for (const stage of [unregistered, restricted]) {
    assert.deepEqual(refusal(stage.register(OWNER, 0xffffffff)), unsupported("ffffffff", "Register"));
    assert.deepEqual(refusal(stage.restrict(1)), unsupported("1", "Restrict"));
    assert.deepEqual(refusal(stage.newLockspace(8)), unsupported("8", "New"));
    assert.deepEqual(
      refusal(stage.resource(LockProcedure.CREATE_RESOURCE, 1)),
      unsupported("1", "CreateResource"),
    );
    assert.deepEqual(
      refusal(stage.resource(LockProcedure.DELETE_RESOURCE, 2)),
      unsupported("2", "DeleteResource"),
    );
    assert.deepEqual(
      refusal(stage.resource(LockProcedure.ACQUIRE_RESOURCE, 7)),
      unsupported("4", "AcquireResource"),
    );
    assert.deepEqual(
      refusal(stage.resource(LockProcedure.RELEASE_RESOURCE, 3)),
      unsupported("3", "ReleaseResource"),
    );
  }
});

Deno.test("lockProgram() refuses a second registration with id 0 and keeps the first", () => {
  const stage = new Stage();
  stage.register();
  assert.deepEqual(refusal(stage.register({ ...OWNER, id: 0, name: "other" })), UNREGISTERED);
  stage.resource(LockProcedure.RELEASE_RESOURCE);
  assert.equal(stage.register({ ...OWNER, name: "other" }).kind, "ok");
  stage.resource(LockProcedure.RELEASE_RESOURCE);
  assert.deepEqual(stage.asked(), [
    "registered guest",
    "release /ls r guest",
    "registered other",
    "release /ls r other",
  ]);
});

Deno.test("lockProgram() ends the holder when the connection of the owner's own process ends", () => {
  const holder = new Stage();
  holder.register();
  holder.connection.disconnect();
  assert.deepEqual(holder.asked(), ["registered guest", "end 4242"]);
  const libvirtd = new Stage(1000);
  libvirtd.register();
  libvirtd.connection.disconnect();
  assert.deepEqual(libvirtd.asked(), ["registered guest"]);
  const unregistered = new Stage();
  unregistered.connection.disconnect();
  assert.deepEqual(unregistered.asked(), []);
  // A peer in another pid namespace has pid 0: it may not pass for an owner that claims to be 0.
  const invisible = new Stage(0);
  invisible.register({ ...OWNER, pid: 0 });
  invisible.connection.disconnect();
  assert.deepEqual(invisible.asked(), ["registered guest"]);
});

Deno.test("lockProgram() ends a holder again whose lock came after its connection had ended", () => {
  const stage = new Stage();
  stage.register();
  stage.answer = "later";
  stage.resource(LockProcedure.ACQUIRE_RESOURCE);
  stage.connection.disconnect();
  stage.asked();
  stage.pending.shift()?.(undefined);
  assert.deepEqual(stage.asked(), ["end 4242"]);
  const refused = new Stage();
  refused.register();
  refused.answer = "later";
  refused.resource(LockProcedure.ACQUIRE_RESOURCE);
  refused.connection.disconnect();
  refused.asked();
  refused.pending.shift()?.({ kind: "not-held", resource: "r" });
  assert.deepEqual(refused.asked(), []);
});

Deno.test("lockProgram() keeps a session that says who is served", () => {
  const stage = new Stage();
  stage.register();
  stage.restrict();
  const { session } = stage.connection;
  assert.ok(session instanceof LockSession);
  assert.deepEqual([session.owner, session.restricted, session.isHolder], [OWNER, true, true]);
});

Deno.test("the first lock that a connection asks for tells that a daemon that was killed has granted nothing over it", () => {
  const stage = new Stage();
  stage.register();
  const { session } = stage.connection;
  assert.ok(session instanceof LockSession);
  const ask = (serial: number) => {
    session.trail = new GrantTrail();
    session.trail.isLost = true;
    const encode = (writer: XdrWriter) => encodeResource(writer, { path: "/ls", name: "r", flags: 0 });
    call(stage.connection, LockProcedure.ACQUIRE_RESOURCE, encode, serial);
  };
  // As libvirt numbers them: its guest runs, and is attached a disk, or is resumed and has nothing yet.
  ask(1);
  ask(2);
  assert.deepEqual(stage.trails, ["whole", "lost"]);
});
