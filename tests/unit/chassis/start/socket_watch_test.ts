import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { recordedLog } from "../../../support/recorded_log.ts";
import type { Listener } from "../../../../src/chassis/rpc/listener.ts";
import { OWNER_ONLY } from "../../../../src/chassis/config/socket_role.ts";
import { SocketWatch } from "../../../../src/chassis/start/socket_watch.ts";
import { listenOn } from "../../../../src/chassis/start/sockets.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

function own(path: string) {
  return { role: "read-write", path, access: OWNER_ONLY } as const;
}

/** A server that listens on one path, and its watch. */
class Stage implements Disposable {
  readonly events: string[] = [];
  readonly path: string;
  readonly directory: string;
  readonly #before = openDescriptors();
  readonly #scratch = new Scratch();
  readonly #loop = new EventLoop(kernel);
  readonly #ledger = new DescriptorLedger(kernel);
  readonly #listeners: Listener[] = [];

  constructor() {
    this.directory = this.#scratch.file("run");
    this.path = `${this.directory}/socket`;
    Deno.mkdirSync(this.directory);
    this.#listeners.push(listenOn(kernel, own(this.path)));
  }

  /** @param faults calls of the kernel that the test replaces */
  watch(faults: Partial<Sys> = {}): void {
    const log = recordedLog((line) => this.events.push(line.replaceAll(this.directory, "DIR")));
    new SocketWatch({
      sys: { ...kernel, ...faults },
      loop: this.#loop,
      ledger: this.#ledger,
      log,
      servers: [{
        name: "admin",
        listeners: this.#listeners,
        listenInstead: (listener) => {
          for (const { fd } of this.#listeners.splice(0)) kernel.close(fd);
          this.#listeners.push(listener);
        },
      }],
      replaced: () => this.events.push("replaced"),
    });
  }

  turn(): void {
    while (this.#loop.turn(0) > 0);
  }

  /** Whether a client gets through to the server. */
  get reached(): boolean {
    const client = kernel.socket(1, true);
    const connected = kernel.connect(client, this.path) === 0;
    const accepted = this.#listeners.map(({ fd }) => kernel.accept(fd)).filter((fd) => fd >= 0);
    for (const fd of [client, ...accepted]) kernel.close(fd);
    return connected && accepted.length === 1;
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#listeners) kernel.close(fd);
    for (const [fd] of [...this.#ledger.entries()]) {
      this.#loop.remove(fd);
      this.#ledger.close(fd);
    }
    this.#loop.close();
    this.#scratch[Symbol.dispose]();
    assert.deepEqual(openedSince(this.#before), []);
  }
}

const AGAIN = [
  "replaced",
  "warn: DIR/socket no longer led here, as when its socket unit is restarted: listening there again",
];

Deno.test("SocketWatch leaves sockets alone whose paths lead here, whatever else happens beside them", () => {
  using stage = new Stage();
  stage.watch();
  Deno.writeTextFileSync(`${stage.directory}/other`, "");
  Deno.removeSync(`${stage.directory}/other`);
  stage.turn();
  assert.deepEqual(stage.events, []);
  assert.ok(stage.reached);
});

const LOSSES: Record<string, (stage: Stage) => void> = {
  "deleted": ({ path }) => Deno.removeSync(path),
  "moved away": ({ path }) => Deno.renameSync(path, `${path}.old`),
  "deleted with its directory": ({ directory }) => Deno.removeSync(directory, { recursive: true }),
  "moved away with its directory": ({ directory }) => Deno.renameSync(directory, `${directory}.old`),
  "a dead socket of somebody else's": ({ path }) => {
    Deno.removeSync(path);
    kernel.close(listenOn(kernel, own(path)).fd);
  },
};
for (const [loss, lose] of Object.entries(LOSSES)) {
  Deno.test(`SocketWatch listens again when the path is ${loss}, as often as that happens`, () => {
    using stage = new Stage();
    stage.watch();
    for (let round = 0; round < 2; round++) {
      lose(stage);
      stage.turn();
      assert.deepEqual(stage.events.splice(0), AGAIN);
      assert.ok(stage.reached);
      if (loss.startsWith("moved away with")) Deno.removeSync(`${stage.directory}.old`, { recursive: true });
    }
  });
}

Deno.test("SocketWatch mends a path that is gone when it begins", () => {
  using stage = new Stage();
  Deno.removeSync(stage.path);
  stage.watch();
  assert.deepEqual(stage.events, AGAIN);
  assert.ok(stage.reached);
});

Deno.test("SocketWatch leaves a path to another daemon that listens there, and says so once", () => {
  using stage = new Stage();
  stage.watch();
  Deno.removeSync(stage.path);
  const other = listenOn(kernel, own(stage.path));
  stage.turn();
  Deno.writeTextFileSync(`${stage.directory}/other`, "");
  stage.turn();
  assert.deepEqual(stage.events, [
    "error: Clients no longer reach server admin at DIR/socket: Bind socket DIR/socket: another daemon listens there",
  ]);
  kernel.close(other.fd);
});

Deno.test("SocketWatch says what it cannot do", () => {
  const why = "Cannot watch the sockets, a path that is deleted stays so until a reload";
  using stage = new Stage();
  stage.watch({ inotify: () => -24 });
  assert.deepEqual(stage.events.splice(0), [
    `warn: ${why}: inotify_init1 sockets: Too many open files (EMFILE)`,
  ]);
  stage.watch({ watchDirectory: () => -28 });
  assert.deepEqual(stage.events, [
    `warn: ${why}: inotify_add_watch DIR: No space left on device (ENOSPC)`,
  ]);
});

Deno.test("SocketWatch leaves a path alone of which nothing can be found out", () => {
  using stage = new Stage();
  let broken = false;
  stage.watch({ lstat: (path, into) => broken ? -5 : kernel.lstat(path, into) });
  broken = true;
  Deno.removeSync(stage.path);
  stage.turn();
  assert.deepEqual(stage.events, []);
});
