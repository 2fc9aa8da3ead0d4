import assert from "node:assert/strict";
import { EACCES, EIO, EPERM } from "../../../../src/os/errno.ts";
import { must } from "../../../../src/os/system_error.ts";
import type { LockRequest } from "../../../../src/lockd/lockspace/lock_file.ts";
import type { LockFilesOutcome } from "../../../../src/lockd/lockspace/lock_files.ts";
import type { Verdict } from "../../../../src/lockd/lockspace/settler.ts";
import { Deputies } from "../../../../src/lockd/storage/deputies.ts";
import { HelperLink } from "../../../../src/lockd/storage/helper_link.ts";
import type { StorageResult } from "../../../../src/lockd/storage/helper_protocol.ts";
import type { Mount, UserIds } from "../../../../src/lockd/storage/mount_tree.ts";
import { StorageClient } from "../../../../src/lockd/storage/storage_client.ts";
import { mount, RecordedStorage, Turning } from "../../../support/storage_fixture.ts";
import { PlayedHelpers } from "./played_helper.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

const PATH = "/mnt/a/x";
const IMAGE: LockRequest = { path: PATH, shared: false, autocreate: false, followLinks: true };
const IDENTITY = { devMajor: 0, devMinor: 2, inodeLow: 7, inodeHigh: 0 };
const OPENING = `Unable to open resource ${PATH}`;
const USER = { uid: 7, gid: 70 };
const OTHER = { uid: 8, gid: 80 };

function refused(errno = EACCES): StorageResult {
  return { kind: "refused", outcome: { kind: "failed", action: OPENING, errno } };
}

function owned(ids: UserIds, path = PATH): StorageResult {
  return { kind: "owner", owner: { ...ids, path } };
}

/** Deputies whose helpers the test plays: root's for one mount, and those of other users. */
class Stage implements Disposable {
  readonly #before = openDescriptors();
  readonly turning = new Turning();
  readonly root = new PlayedHelpers(this.turning.sys);
  readonly others = new PlayedHelpers(this.turning.sys);
  /** Whom deputies were to become. */
  readonly become: UserIds[] = [];
  isRoot = true;
  readonly place: StorageClient;
  readonly deputies: Deputies;

  constructor(place: Mount = mount()) {
    const { sys, loop, ledger } = this.turning;
    const parts = {
      sys,
      loop,
      ledger,
      starter: this.root,
      closeFile: (fd: number) => void sys.close(fd),
      timeLimit: () => 20_000,
      observer: new RecordedStorage(),
      now: () => 1_000_000,
      rested: () => {},
    };
    this.place = new StorageClient(parts, place);
    const start = (ids: UserIds, user: ConstructorParameters<typeof HelperLink>[2]): HelperLink => {
      this.become.push(ids);
      const { link, far } = HelperLink.pair(this.turning, user);
      this.others.start(far);
      sys.close(far);
      return link;
    };
    this.deputies = new Deputies(parts, { start }, () => this.isRoot);
  }

  /** Asks for a lock, which root's helper answers with these results, and those of others with the rest. */
  lock(request: LockRequest, root: StorageResult[], ...others: StorageResult[][]): LockFilesOutcome {
    return this.#played(root, others, (done) => this.deputies.lock(this.place, request, done));
  }

  sync(root: StorageResult[], ...others: StorageResult[][]): Verdict {
    return this.#played(root, others, (done) => this.deputies.sync(this.place, PATH, done));
  }

  #played<T>(root: StorageResult[], others: StorageResult[][], begin: (done: (value: T) => void) => void): T {
    let answer: { value: T } | undefined;
    begin((value) => answer = { value });
    const play = (helpers: PlayedHelpers, scripts: StorageResult[][]) => {
      helpers.helpers.forEach((helper, index) => {
        for (const asked of helper.read()) {
          if (asked === "end" || asked.message.kind !== "task") continue;
          const result = scripts[index]?.shift() ?? assert.fail(`no answer to ${asked.message.task.op}`);
          const fd = result.kind === "granted"
            ? [must(this.turning.sys.open("/dev/null", 0, 0), "open", "test")]
            : [];
          helper.answer(asked.message.id, result, fd);
          for (const each of fd) this.turning.sys.close(each);
        }
      });
    };
    return this.turning.until(() => {
      play(this.root, [root]);
      play(this.others, others);
      return answer;
    }).value;
  }

  [Symbol.dispose](): void {
    for (const client of [this.place, ...this.deputies.all]) client.close();
    for (const helpers of [this.root, this.others]) helpers.close();
    this.turning[Symbol.dispose]();
    assert.deepEqual(openedSince(this.#before), []);
  }
}

const GRANTED: StorageResult = { kind: "granted", identity: IDENTITY };

/** Whether a lock was granted; its descriptor is closed. */
function isGranted(stage: Stage, outcome: LockFilesOutcome): boolean {
  if (outcome.kind !== "granted") return false;
  stage.turning.sys.close(outcome.fd);
  return true;
}

Deno.test("a file that root may open needs no deputy", () => {
  using stage = new Stage();
  assert.ok(isGranted(stage, stage.lock(IMAGE, [GRANTED])));
  assert.deepEqual(stage.become, []);
});

for (const errno of [EACCES, EPERM]) {
  Deno.test(`a file that root is refused with ${errno} is asked for as its owner`, () => {
    using stage = new Stage();
    assert.ok(isGranted(stage, stage.lock(IMAGE, [refused(errno), owned(USER)], [GRANTED])));
    assert.deepEqual(stage.become, [USER]);
  });
}

Deno.test("deputies are known by their place", () => {
  using stage = new Stage();
  assert.deepEqual(stage.deputies.at(stage.place), []);
  assert.ok(isGranted(stage, stage.lock(IMAGE, [refused(), owned(USER)], [GRANTED])));
  assert.deepEqual(stage.deputies.at(stage.place), stage.deputies.all);
  assert.equal(stage.deputies.all.length, 1);
  assert.deepEqual(stage.deputies.at({ mount: mount({ device: 77 }) }), []);
});

Deno.test("behind a closed directory its owner is asked for the owner of the file", () => {
  using stage = new Stage();
  const outcome = stage.lock(
    IMAGE,
    [refused(), owned(USER, "/mnt/a")],
    [refused(), owned(OTHER)],
    [GRANTED],
  );
  assert.ok(isGranted(stage, outcome));
  assert.deepEqual(stage.become, [USER, OTHER]);
});

Deno.test("on a mount that serves one user only that one is asked", () => {
  using stage = new Stage(mount({ type: "fuse.x", onlyFor: OTHER }));
  assert.ok(isGranted(stage, stage.lock(IMAGE, [refused()], [GRANTED])));
  assert.deepEqual(stage.become, [OTHER]);
});

Deno.test("a deputy is asked again for the next file of its user", () => {
  using stage = new Stage();
  const answers: [StorageResult[], StorageResult[]] = [
    [refused(), owned(USER), refused(), owned(USER)],
    [GRANTED, GRANTED],
  ];
  assert.ok(isGranted(stage, stage.lock(IMAGE, ...answers)));
  assert.ok(isGranted(stage, stage.lock(IMAGE, ...answers)));
  assert.deepEqual(stage.become, [USER]);
});

Deno.test("a lock that another has is refused with who, not asked for as somebody else", () => {
  using stage = new Stage();
  const busy: StorageResult = { kind: "refused", outcome: { kind: "busy", identity: IDENTITY, pid: 9 } };
  assert.deepEqual(stage.lock(IMAGE, [refused(), owned(USER)], [busy]), {
    kind: "busy",
    identity: IDENTITY,
    pid: 9,
  });
  assert.deepEqual(stage.lock(IMAGE, [refused(EIO)]), { kind: "failed", action: OPENING, errno: EIO });
});

Deno.test("what nobody may open is refused, and says who was asked", () => {
  using stage = new Stage();
  const failed = (text: string) => ({ kind: "failed", action: `${OPENING}${text}`, errno: EACCES });
  assert.deepEqual(
    stage.lock(IMAGE, [refused(), owned(USER)], [refused(), owned(USER)]),
    failed(", neither as root nor as user 7"),
  );
  assert.deepEqual(
    stage.lock(IMAGE, [refused(), owned({ uid: 0, gid: 0 })]),
    failed(", which is root's, and is closed to root here"),
  );
  assert.deepEqual(
    stage.lock(IMAGE, [refused(), owned({ uid: 0, gid: 0 }, "/mnt/a")]),
    failed(", below /mnt/a, which is root's, and is closed to root here"),
  );
  assert.deepEqual(stage.lock(IMAGE, [refused(), { kind: "owner" }]), failed(""));
});

Deno.test("no file is made as another user, and only root becomes one", () => {
  using stage = new Stage();
  const failed = { kind: "failed", action: OPENING, errno: EACCES };
  assert.deepEqual(stage.lock({ ...IMAGE, autocreate: true }, [refused()]), failed);
  assert.deepEqual(stage.lock({ ...IMAGE, create: true }, [refused()]), failed);
  stage.isRoot = false;
  assert.deepEqual(stage.lock(IMAGE, [refused()]), failed);
  assert.deepEqual(stage.become, []);
});

Deno.test("a deputy that cannot become its user is reported with the refusal", () => {
  using stage = new Stage();
  let outcome: LockFilesOutcome | undefined;
  stage.deputies.lock(stage.place, IMAGE, (value) => outcome = value);
  const [asked] = stage.turning.until(() => {
    const read = stage.root.helpers[0]?.read() ?? [];
    return read.length > 0 ? read : undefined;
  });
  assert.ok(asked !== undefined && asked !== "end" && asked.message.kind === "task");
  stage.root.helper.answer(asked.message.id, refused());
  const [whose] = stage.turning.until(() => {
    const read = stage.root.helper.read();
    return read.length > 0 ? read : undefined;
  });
  assert.ok(whose !== undefined && whose !== "end" && whose.message.kind === "task");
  stage.root.helper.answer(whose.message.id, owned(USER));
  stage.turning.until(() => stage.others.helpers.length > 0 || undefined);
  stage.others.helper.send({ kind: "failed", reason: "no process may become user 7" });
  stage.others.helper.end();
  assert.deepEqual(stage.turning.until(() => outcome), {
    kind: "storage",
    action: `Unable to acquire lock on resource ${PATH}`,
    reason: "Permission denied for root, and user 7 could not be asked: no process may become user 7",
  });
});

Deno.test("the last writes to a file that root may not open are brought to its medium as its owner", () => {
  const over: Verdict = { kind: "over" };
  const denied: StorageResult = { kind: "denied", verdict: { kind: "unknown", reason: "closed" } };
  using stage = new Stage();
  assert.deepEqual(stage.sync([{ kind: "judged", verdict: over }]), over);
  assert.deepEqual(stage.become, []);
  assert.deepEqual(stage.sync([denied, owned(USER)], [{ kind: "judged", verdict: over }]), over);
  assert.deepEqual(stage.become, [USER]);
  assert.deepEqual(stage.sync([denied, owned({ uid: 0, gid: 0 })]), { kind: "unknown", reason: "closed" });
});
