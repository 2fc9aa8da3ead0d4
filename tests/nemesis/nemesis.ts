import { isInitialNamespace } from "../../src/os/pid_namespace.ts";
import { installMissing } from "../e2e/support/debian_packages.ts";
import { Etcd } from "../support/etcd.ts";
import { Random } from "../support/random.ts";
import { NOTICED } from "./account.ts";
import { Administrator } from "./administrator.ts";
import { leftovers } from "./audit.ts";
import { type Fault, MEMBERS, type Scene } from "./faults/fault.ts";
import { randomFault } from "./faults/random_fault.ts";
import { FaultTally } from "./fault_tally.ts";
import { forgottenChange } from "./forgotten_change.ts";
import { Grants } from "./grants.ts";
import type { History } from "./history.ts";
import { DISKS, Lives } from "./lives.ts";
import { NemesisHost } from "./nemesis_host.ts";
import { Network } from "./network.ts";
import { SharedDisks } from "./shared_disks.ts";

const PACKAGES = ["etcd-server", "etcd-client", "iproute2", "nftables", "strace"];
const HOSTS = 3;
/** So many guests live at the same time. */
const LIVES = 6;
/** Between two audits, in ms. */
const ROUND_MS = 60_000;
/** Of so many rounds the last one has only faults that hold something up. */
const ROUNDS = 3;
const LONGEST_FAULT_MS = 5000;
/** Once in a while one lasts longer than a lease does. */
const LONG_FAULT_MS = 15_000;
const LONGEST_CALM_MS = 2500;

/** What is run. */
export interface NemesisOptions {
  readonly seconds: number;
  readonly seed: number;
  /** File below entries/, of the daemon's program. */
  readonly entry: string;
  readonly history: History;
  /** Of the caller's, who removes it: for the daemons' logs, `HOST.log`, when something was found. */
  readonly directory: string;
  /** Told at the end of each round. */
  readonly round: () => void;
}

/** What was found. */
export interface NemesisResult {
  readonly violations: readonly string[];
  readonly leaks: readonly string[];
  /** Blocks that the witness saw. */
  readonly blocks: number;
  /** A line for each kind of fault. */
  readonly faults: readonly string[];
}

/**
 * Three members of etcd, three hosts and guests that collide, while much goes wrong. It ends with the round
 * in which something was found.
 */
export async function nemesis(options: NemesisOptions): Promise<NemesisResult> {
  const { history, directory, seed, entry } = options;
  if (!isInitialNamespace({ readlink: (path) => Deno.readLinkSync(path) })) {
    throw new Error("Daemons see all who write nowhere but in the machine's own pid namespace");
  }
  await installMissing(PACKAGES);
  const names = Array.from({ length: HOSTS }, (_, number) => `host${number}`);
  const hosts: NemesisHost[] = [];
  const violations: string[] = [];
  /** How long each daemon's log was when the first one was noticed. */
  const logged = new Map<string, number>();
  const violation = (text: string) => {
    if (violations.length === 0) {
      for (const { name, manager } of hosts) {
        logged.set(name, manager.log.length);
      }
    }
    violations.push(text);
    history.add("violation", { text });
  };
  await using disks = await SharedDisks.create(directory, { disks: DISKS, hosts: HOSTS }, (late) => {
    const { disk, older, newer, write } = late;
    violation(`disk ${disk}: write ${write} of guest ${older} arrived behind one of guest ${newer}`);
  });
  await using network = await Network.create([...MEMBERS, ...names]);
  await using etcd = await Etcd.startOn(MEMBERS.map((name) => network.node(name)), network.launcher);
  await using stack = new AsyncDisposableStack();
  for (const [number, name] of names.entries()) {
    const { launcher } = network.node(name);
    hosts.push(stack.use(await NemesisHost.start({ etcd, disks, number, launcher, entry })));
  }
  let clean = false;
  stack.defer(async () => {
    if (clean) return;
    for (const { name, manager } of hosts) {
      const { log } = manager;
      const at = logged.get(name);
      const text = at === undefined ? log : `${log.slice(0, at)}${NOTICED}\n${log.slice(at)}`;
      await Deno.writeTextFile(`${directory}/${name}.log`, text);
    }
  });
  const end = performance.now() + options.seconds * 1000;
  const random = new Random(seed);
  const administrator = new Administrator(etcd, hosts, history);
  const scene: Scene = { etcd, network, hosts };
  const grants = new Grants();
  const tally = new FaultTally(history);
  let guests = 0;
  let leaks: readonly string[] = [];
  for (let number = 0; performance.now() < end && violations.length === 0 && leaks.length === 0; number++) {
    const holdingUp = number % ROUNDS === ROUNDS - 1;
    history.add("round", { number, holdingUp });
    const length = Math.min(ROUND_MS, end - performance.now());
    const busy = new Set<string>();
    const kill = async (host: NemesisHost) => {
      if (holdingUp || busy.has(host.name)) return;
      busy.add(host.name);
      await host.manager.crash();
      busy.delete(host.name);
    };
    const parts = { hosts, grants, history, tally, number: () => ++guests, kill, violation };
    const lives = Array.from(
      { length: LIVES },
      (_, index) => new Lives(parts, random.split(100 * number + 2 * index)),
    );
    const lived = Promise.all(lives.map((each) => each.run()));
    const [first, second] = [random.split(100 * number + 1), random.split(100 * number + 3)];
    const limit = performance.now() + length;
    const until = () => violations.length === 0 ? limit : 0;
    try {
      const trouble = { scene, history, tally, holdingUp, busy, until };
      await Promise.all([first, second].map((each) => faults(trouble, each)));
    } finally {
      for (const each of lives) each.end();
      await lived;
    }
    // What comes of locks that two have had is of no interest, and would fill the logs.
    if (violations.length === 0) leaks = await leftovers(scene, administrator);
    if (holdingUp && violations.length + leaks.length === 0) {
      await Promise.all(hosts.map((host, disk) => forgottenChange(parts, host, disk)));
      leaks = await leftovers(scene, administrator);
    }
    for (const text of leaks) history.add("leak", { text });
    options.round();
  }
  clean = violations.length === 0 && leaks.length === 0;
  return { violations, leaks, blocks: await disks.blocks(), faults: tally.lines };
}

interface Trouble {
  readonly scene: Scene;
  readonly history: History;
  readonly tally: FaultTally;
  /** Whether there are only faults that hold something up. */
  readonly holdingUp: boolean;
  /** What has a fault now. */
  readonly busy: Set<string>;
  /** When the last one has to end, by performance.now(); that is at once when something was found. */
  readonly until: () => number;
}

/** One fault after the other, with some time between them. */
async function faults(trouble: Trouble, random: Random): Promise<void> {
  const { history, tally, busy, until } = trouble;
  const left = () => Math.max(0, until() - performance.now());
  while (left() > 0) {
    await after(Math.min(left(), random.below(LONGEST_CALM_MS)));
    const fault = freeFault(trouble, random);
    const longest = random.once(5) ? LONG_FAULT_MS : LONGEST_FAULT_MS;
    const length = (fault.shortest ?? 0) + random.below(longest);
    history.add("fault", { name: fault.name, length });
    for (const target of fault.targets) busy.add(target);
    const over = tally.begin(fault.kind);
    await fault.begin();
    await after(Math.min(left(), length));
    await fault.end();
    over();
    for (const target of fault.targets) busy.delete(target);
    history.add("fault over", { name: fault.name });
  }
}

function freeFault({ scene, holdingUp, busy }: Trouble, random: Random): Fault {
  for (;;) {
    const fault = randomFault(scene, random, holdingUp);
    if (!fault.targets.some((target) => busy.has(target))) return fault;
  }
}

function after(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
