import assert from "node:assert/strict";
import { accountOf, type AccountParts } from "../nemesis/account.ts";
import { History } from "../nemesis/history.ts";
import { LineProcess } from "../nemesis/line_process.ts";
import { nemesis } from "../nemesis/nemesis.ts";
import { type LateWrite, SharedDisks } from "../nemesis/shared_disks.ts";
import { setAhead } from "../nemesis/faults/wall_clock.ts";
import { VARIANTS } from "../nemesis/variants.ts";
import { until } from "../support/until.ts";

// The storage witness, and a short run of `deno task nemesis`. Needs root, /dev/fuse, nft and cgroup v1's
// blkio controller.

const SEED = 20261128;
/** Blocks of a writer that may be on their way at once. */
const BACKLOG = 16;
/** What is found behind the first few of the same kind says nothing more. */
const MOST_FOUND = 5;

/** A directory that processes of other users reach, removed afterwards. */
class OpenDirectory implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "virtlockd-nemesis-" });

  constructor() {
    Deno.chmodSync(this.path, 0o755);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** What a run has left in its directory. */
function files(directory: string): Pick<AccountParts, "history" | "logs"> {
  const names = [...Deno.readDirSync(directory)].map(({ name }) => name).filter((name) =>
    name.endsWith(".log")
  );
  const text = (name: string) => Deno.readTextFileSync(`${directory}/${name}`);
  return {
    history: text("history"),
    logs: new Map(names.toSorted().map((name) => [name.slice(0, -".log".length), text(name)])),
  };
}

async function writer(disks: SharedDisks, device: string): Promise<LineProcess> {
  const process = new LineProcess([disks.writer, "uring"], {});
  assert.equal(await process.ask(`open ${device}`), "ok");
  return process;
}

Deno.test("the witness sees a write of a killed process that lands when another host has written", async () => {
  using directory = new OpenDirectory();
  const late: LateWrite[] = [];
  await using disks = await SharedDisks.create(directory.path, { disks: 1, hosts: 2 }, (each) => {
    late.push(each);
  });
  await using first = await writer(disks, disks.device(0, 0));
  await disks.slowDown(first.pid);
  await first.ask("write 1");
  // It writes faster than the device takes it: by then as much is on its way as it has at once.
  await until("its first blocks to arrive", async () => await disks.blocks() >= BACKLOG);
  await disks.hold();
  await using second = await writer(disks, disks.device(1, 0));
  await first.kill();
  const before = await disks.blocks();
  await second.ask("write 2");
  // More than the first one had on their way.
  await until("the other's blocks to arrive", async () => await disks.blocks() > before + BACKLOG);
  await disks.letGo();
  await until("a late write", () => late.length > 0);
  assert.deepEqual({ ...late[0], write: 0 }, { disk: 0, older: 1, newer: 2, write: 0 });
});

Deno.test("the witness sees nothing wrong when one stops before the other begins", async () => {
  using directory = new OpenDirectory();
  const late: LateWrite[] = [];
  await using disks = await SharedDisks.create(directory.path, { disks: 1, hosts: 2 }, (each) => {
    late.push(each);
  });
  for (const holder of [1, 2, 3, 4]) {
    await using process = await writer(disks, disks.device(holder % 2, 0));
    if (holder % 2 === 1) await disks.slowDown(process.pid);
    const before = await disks.blocks();
    await process.ask(`write ${holder}`);
    await until("its blocks to arrive", async () => await disks.blocks() > before);
    await process.ask("stop");
  }
  assert.deepEqual(late, []);
});

for (
  const [variant, seconds, expected] of [
    ["none", 120, { violation: false }],
    // It ends with the first violation, mostly within a quarter of a minute.
    ["no-settling", 400, { violation: true }],
  ] as const
) {
  Deno.test(`guests of three hosts in trouble, and a daemon that is wrong in this way: ${variant}`, async () => {
    using directory = new OpenDirectory();
    using history = new History(`${directory.path}/history`);
    const { violations, leaks } = await nemesis({
      seconds,
      seed: SEED,
      entry: VARIANTS[variant] ?? "",
      history,
      directory: directory.path,
      round: () => {},
    });
    const found = [...violations, ...leaks];
    if (!expected.violation && found.length > 0) {
      // All that is left of a run on another machine.
      for (const line of accountOf({ ...files(directory.path), found })) console.error(line);
    }
    const text = found.slice(0, MOST_FOUND).join("\n");
    if (!expected.violation) assert.equal(text, "");
    else assert.match(text, /arrived behind one of/);
    assert.notEqual(history.count("granted"), 0);
  });
}

for (
  const [program, args, read] of [
    [
      "python3",
      ["-u", "-c", "import time\nwhile True:\n  print(time.time(), flush=True); time.sleep(.01)"],
      1000,
    ],
    [Deno.execPath(), ["eval", "setInterval(() => console.log(Date.now()), 10)"], 1],
  ] as const
) {
  Deno.test(`the wall clock of one process is set, ahead and back: ${program.split("/").at(-1)}`, async () => {
    await using process = new LineProcess([program, ...args], Deno.env.toObject(), (line) => {
      behind = Math.round((Number(line) * read - Date.now()) / 1000);
      return true;
    });
    let behind = NaN;
    for (const seconds of [3600, -86_400, 0]) {
      await until("it to write", () => !Number.isNaN(behind));
      setAhead(process.pid, seconds);
      await until(`it to be ${seconds} s ahead`, () => behind === seconds);
    }
  });
}
