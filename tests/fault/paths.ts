import { SIGHUP, SIGUSR1 } from "../../src/os/constants.ts";
import { LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import { encodeCreateLockspace, encodeNew } from "../support/lock_codec.ts";
import { encodePageArgs, STATUS_PROGRAM, StatusProcedure } from "../../src/lockd/wire/status_protocol.ts";
import { Guest } from "./guest.ts";
import { Actor } from "./actor.ts";
import { MINUTE_OF_TURNS, type Outcome, type Part } from "./scripted_client.ts";
import type { Path, Play } from "./play.ts";

const { CREATE_RESOURCE, DELETE_RESOURCE, ACQUIRE_RESOURCE, RELEASE_RESOURCE } = LockProcedure;
const { CREATE_LOCKSPACE, NEW } = LockProcedure;
const DONE: Outcome = { kind: "ok", payload: new Uint8Array(0) };
let number = 0;

/** Every way through the running daemon. */
export const paths: readonly Path[] = [
  path("connect and register", function* (play) {
    yield* play.act(connected(play));
  }),
  path("new lockspace", function* (play) {
    const client = yield* play.client();
    const directory = `${play.stage.directory}/new/${++number}/below`;
    const ask = () => client.ask(NEW, (writer) => encodeNew(writer, { path: directory, flags: 0 }));
    const outcome = yield* play.act(ask());
    if (outcome.kind !== "ok") yield* play.must(ask(), "NEW again");
  }),
  path("create a resource", function* (play) {
    const client = yield* play.client();
    const ask = () => client.resource(CREATE_RESOURCE, play.lockspace, "made");
    const outcome = yield* play.act(ask());
    if (outcome.kind === "ok") play.expect("made", "none", "After CREATE");
    yield* play.must(client.resource(DELETE_RESOURCE, play.lockspace, "made"), "DELETE");
  }),
  path("delete a resource", function* (play) {
    const client = yield* play.client();
    yield* play.must(client.resource(CREATE_RESOURCE, play.lockspace, "made"), "CREATE");
    const outcome = yield* play.act(client.resource(DELETE_RESOURCE, play.lockspace, "made"));
    play.expect("made", outcome.kind === "ok" ? "absent" : "none", "After DELETE");
    yield* play.must(client.resource(DELETE_RESOURCE, play.lockspace, "made"), "DELETE again");
  }),
  acquiring("acquire", 0, "exclusive"),
  acquiring("acquire shared", 1, "shared"),
  acquiring("acquire, making the file", 2, "exclusive"),
  acquiring("acquire shared, making the file", 3, "shared"),
  path("acquire what a sharer has", function* (play) {
    const [first, second] = [yield* play.client(), yield* play.client()];
    yield* play.must(first.resource(ACQUIRE_RESOURCE, play.lockspace, "both", 3), "ACQUIRE");
    const outcome = yield* play.act(second.resource(ACQUIRE_RESOURCE, play.lockspace, "both", 3));
    play.expect("both", "shared", "With two owners");
    if (outcome.kind === "ok") {
      yield* play.must(second.resource(RELEASE_RESOURCE, play.lockspace, "both"), "RELEASE of the second");
    }
    play.expect("both", "shared", "With one owner");
    yield* play.must(first.resource(RELEASE_RESOURCE, play.lockspace, "both"), "RELEASE of the first");
    play.expect("both", "absent", "With no owner");
  }),
  path("be refused what another owner has", function* (play) {
    const [first, second] = [yield* play.client(), yield* play.client()];
    yield* play.must(first.resource(ACQUIRE_RESOURCE, play.lockspace, "one", 2), "ACQUIRE");
    yield* play.act(refused(second.resource(ACQUIRE_RESOURCE, play.lockspace, "one")));
    play.expect("one", "exclusive", "After the refusal");
    yield* play.must(first.resource(RELEASE_RESOURCE, play.lockspace, "one"), "RELEASE");
  }),
  path("be refused another name of what is locked", function* (play) {
    const [first, second] = [yield* play.client(), yield* play.client()];
    yield* play.must(first.resource(ACQUIRE_RESOURCE, play.lockspace, "one", 2), "ACQUIRE");
    yield* play.act(refused(second.resource(ACQUIRE_RESOURCE, "", play.file("one"))));
    play.expect("one", "exclusive", "After the refusal");
    yield* play.must(first.resource(RELEASE_RESOURCE, play.lockspace, "one"), "RELEASE");
    play.expect("one", "absent", "After RELEASE");
  }),
  releasing("release", 0, "none"),
  releasing("release shared", 1, "none"),
  releasing("release and unlink", 2, "absent"),
  releasing("release shared and unlink", 3, "absent"),
  path("disconnect", function* (play) {
    const client = yield* play.client();
    const other = yield* play.client();
    yield* play.act(left(play, other));
    yield* play.must(client.ask(CREATE_LOCKSPACE, (writer) => writer.string("")), "A round trip");
  }),
  path("lose a holder", function* (play) {
    const [pid, witness] = [1_700_000_000 + ++number, yield* play.client()];
    const holder = yield* play.client(pid);
    yield* play.must(holder.resource(ACQUIRE_RESOURCE, play.lockspace, "disk", 2), "ACQUIRE");
    yield* play.act(left(play, holder));
    // One that no signal reaches ends by itself in the end.
    for (let turn = 0; turn < 60 && !play.stage.processes.isGone(pid); turn++) {
      play.expect("disk", "exclusive", "While the holder lives");
      yield 5;
    }
    play.stage.processes.end(pid);
    yield* play.until("the lock to go with its owner", () => play.lockOn("disk") !== "exclusive");
    yield* play.must(witness.resource(ACQUIRE_RESOURCE, play.lockspace, "disk", 2), "ACQUIRE of the next");
    yield* play.must(witness.resource(RELEASE_RESOURCE, play.lockspace, "disk"), "RELEASE of the next");
  }),
  path("lose the holder of a disk, and ask whether it still writes", function* (play) {
    const [pid, witness] = [1_700_000_000 + ++number, yield* play.client()];
    yield* play.must(witness.resource(CREATE_RESOURCE, play.lockspace, "disk"), "CREATE");
    const holder = yield* play.client(pid);
    yield* play.must(holder.resource(ACQUIRE_RESOURCE, "", play.file("disk")), "ACQUIRE");
    yield* play.act(lost(play, holder, pid));
    yield* play.until("the lock to go with its owner", () => play.lockOn("disk") === "none");
    yield* play.must(witness.resource(ACQUIRE_RESOURCE, "", play.file("disk")), "ACQUIRE of the next");
    yield* play.must(witness.resource(RELEASE_RESOURCE, "", play.file("disk")), "RELEASE of the next");
    yield* play.must(witness.resource(DELETE_RESOURCE, play.lockspace, "disk"), "DELETE");
  }),
  path("lock for a process without a connection", function* (play) {
    // Of this process there is something to be read.
    const [libvirtd, guest] = [yield* play.client(Deno.pid), new Guest()];
    try {
      const lock = () => libvirtd.resource(ACQUIRE_RESOURCE, play.lockspace, "alone", 2);
      const outcome = yield* play.act(both(libvirtd.register(guest.pid), lock));
      if (outcome.kind !== "ok") {
        play.expect("alone", "none", "After a refusal");
        yield* play.must(both(libvirtd.register(guest.pid), lock), "REGISTER and ACQUIRE again");
      }
      play.expect("alone", "exclusive", "While the guest lives");
    } finally {
      guest.end();
      // What was found out of it is forgotten with it.
      play.stage.processes.end(Deno.pid);
    }
    // Whom nobody can judge keeps it.
    if (play.unseen) yield* libvirtd.resource(RELEASE_RESOURCE, play.lockspace, "alone");
    yield* play.until("the lock to go with the guest", () => play.lockOn("alone") === "absent");
    play.stage.processes.forget();
  }),
  path("lose a process without a connection", function* (play) {
    const [libvirtd, guest] = [yield* play.client(Deno.pid), new Guest()];
    const lock = () => libvirtd.resource(ACQUIRE_RESOURCE, play.lockspace, "alone", 2);
    yield* play.must(both(libvirtd.register(guest.pid), lock), "REGISTER and ACQUIRE");
    yield* play.act(ended(play, guest));
    yield* play.until("the lock to go with the guest", () => play.lockOn("alone") !== "exclusive");
    const witness = yield* play.client();
    yield* play.must(witness.resource(ACQUIRE_RESOURCE, play.lockspace, "alone", 2), "ACQUIRE of the next");
    yield* play.must(witness.resource(RELEASE_RESOURCE, play.lockspace, "alone"), "RELEASE of the next");
  }),
  path("list the locks", function* (play) {
    const client = yield* play.client();
    yield* play.must(client.resource(ACQUIRE_RESOURCE, play.lockspace, "seen", 2), "ACQUIRE");
    yield* play.act(listed(play));
    yield* play.must(client.resource(RELEASE_RESOURCE, play.lockspace, "seen"), "RELEASE");
  }),
  path("reload the configuration", function* (play) {
    const client = yield* play.client();
    yield* play.act(signalled(play, client, SIGHUP));
  }),
  path("re-exec", function* (play) {
    const client = yield* play.client();
    yield* play.must(client.resource(ACQUIRE_RESOURCE, play.lockspace, "kept", 2), "ACQUIRE");
    const before = play.stage.executions;
    yield* play.act(reExecuted(play));
    play.expect("kept", "exclusive", "After a re-exec");
    if (play.stage.executions === before) {
      yield* play.must(reExecuted(play), "Re-exec again");
      if (play.stage.executions === before) throw new Error("The second re-exec did not come to its end");
    }
    play.expect("kept", "exclusive", "After a re-exec that succeeded");
    yield* play.must(client.resource(RELEASE_RESOURCE, play.lockspace, "kept"), "RELEASE after a re-exec");
    play.expect("kept", "absent", "After RELEASE");
  }),
];

function path(name: string, play: (play: Play) => Part<void>): Path {
  return { name, play };
}

function acquiring(name: string, flags: number, mode: "exclusive" | "shared"): Path {
  const autocreate = (flags & 2) !== 0;
  return path(name, function* (play) {
    const client = yield* play.client();
    if (!autocreate) yield* play.must(client.resource(CREATE_RESOURCE, play.lockspace, "disk"), "CREATE");
    const ask = () => client.resource(ACQUIRE_RESOURCE, play.lockspace, "disk", flags);
    const outcome = yield* play.act(ask());
    if (outcome.kind !== "ok") {
      play.expect("disk", "none", "After a refusal");
      yield* play.must(ask(), "ACQUIRE again");
    }
    play.expect("disk", mode, "After ACQUIRE");
    yield* play.must(client.resource(RELEASE_RESOURCE, play.lockspace, "disk"), "RELEASE");
    play.expect("disk", autocreate ? "absent" : "none", "After RELEASE");
    yield* play.must(client.resource(DELETE_RESOURCE, play.lockspace, "disk"), "DELETE");
  });
}

function releasing(name: string, flags: number, after: "none" | "absent"): Path {
  return path(name, function* (play) {
    const client = yield* play.client();
    if (flags < 2) yield* play.must(client.resource(CREATE_RESOURCE, play.lockspace, "disk"), "CREATE");
    yield* play.must(client.resource(ACQUIRE_RESOURCE, play.lockspace, "disk", flags), "ACQUIRE");
    const ask = () => client.resource(RELEASE_RESOURCE, play.lockspace, "disk");
    const outcome = yield* play.act(ask());
    if (outcome.kind !== "ok") {
      // Its file may be unlinked already.
      const kept = play.lockOn("disk");
      if (kept !== "absent") {
        play.expect("disk", (flags & 1) === 1 ? "shared" : "exclusive", "After a failed RELEASE");
      }
      yield* play.must(ask(), "RELEASE again");
    }
    // Where it is not sure that nobody shares it, or it cannot be unlinked, the file stays, and the log says
    // so.
    if (after === "none" || outcome.kind !== "ok" || play.lockOn("disk") !== "none") {
      play.expect("disk", after, "After RELEASE");
    } else if (!/Unable to/.test(play.logged) && !play.sharedElsewhere) {
      throw new Error(`The file was left behind; the log: ${play.logged}`);
    }
    yield* play.must(client.resource(DELETE_RESOURCE, play.lockspace, "disk"), "DELETE");
  });
}

function* connected(play: Play): Part<Outcome> {
  const client = yield* play.connect();
  return client instanceof Actor ? DONE : client;
}

/** A refusal is what is wanted. */
function* refused(what: Part<Outcome>): Part<Outcome> {
  const outcome = yield* what;
  if (outcome.kind === "ok") throw new Error("It was granted");
  return outcome.kind === "refused" && outcome.code === 87 ? DONE : outcome;
}

function* left(play: Play, client: Actor): Part<Outcome> {
  const before = play.stage.faults.open.size;
  client.close();
  for (let turn = 0; turn < 40 && play.stage.faults.open.size === before; turn++) yield 5;
  return DONE;
}

/** The connection of a holder ends, and its process, and the daemon frees what it had. */
function* lost(play: Play, holder: Actor, pid: number): Part<Outcome> {
  yield* left(play, holder);
  play.stage.processes.end(pid);
  for (let turn = 0; turn < 60 && play.lockOn("disk") === "exclusive"; turn++) yield 5;
  return DONE;
}

/** Two requests of one client, the second where the first succeeds. */
function* both(first: Part<Outcome>, second: () => Part<Outcome>): Part<Outcome> {
  const outcome = yield* first;
  return outcome.kind === "ok" ? yield* second() : outcome;
}

/** A guest's process ends, and the daemon frees what it had. */
function* ended(play: Play, guest: Guest): Part<Outcome> {
  guest.end();
  for (let turn = 0; turn < 60 && play.lockOn("alone") === "exclusive"; turn++) yield 5;
  return DONE;
}

function* listed(play: Play): Part<Outcome> {
  const client = new Actor(`${play.stage.directory}/run/libvirt/virtlockd-admin-sock`);
  const args = { flags: 0, cursor: "", limit: 0 };
  const locks = yield* client.ask(StatusProcedure.LIST_LOCKS, (w) => encodePageArgs(w, args), STATUS_PROGRAM);
  const status = locks.kind === "ok"
    ? yield* client.ask(StatusProcedure.GET_METRICS, (w) => encodePageArgs(w, args), STATUS_PROGRAM)
    : locks;
  client.close();
  yield 5;
  return status;
}

function* signalled(play: Play, client: Actor, signal: number): Part<Outcome> {
  play.stage.signal(signal);
  yield 5;
  return yield* client.ask(CREATE_LOCKSPACE, (writer) => encodeCreateLockspace(writer, { path: "" }));
}

/** Until the next image serves, or the log says why there is none. */
function* reExecuted(play: Play): Part<Outcome> {
  const { stage } = play;
  const [log, before] = [stage.logLength, stage.executions];
  stage.signal(SIGUSR1);
  const over = () => stage.executions > before || /given up/.test(stage.logSince(log));
  for (let turn = 0; turn < MINUTE_OF_TURNS && !over(); turn++) yield 5;
  return over() ? DONE : { kind: "silent" };
}
