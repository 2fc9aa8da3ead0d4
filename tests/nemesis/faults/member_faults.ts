import { host as machine } from "../../e2e/support/command.ts";
import type { Random } from "../../support/random.ts";
import { type Fault, MEMBERS, patiently, type Scene, STALL_MS } from "./fault.ts";
import { setAhead, stepOf } from "./wall_clock.ts";

// What happens to members of etcd.

/** A flush of the disk takes so long, in ms. */
const SLOW_FLUSH_MS = 300;
/** Longer than a lease lives, and than an election takes. */
const HUNG_FLUSH_MS = 14_000;

export function stoppedMember({ etcd }: Scene, random: Random): Fault {
  const index = random.below(MEMBERS.length);
  return {
    kind: "member stopped",
    name: `member${index} is stopped`,
    targets: [`member${index}`],
    begin: () => etcd.signal(index, "SIGSTOP"),
    end: () => etcd.signal(index, "SIGCONT"),
  };
}

export function stalledMember(scene: Scene, random: Random): Fault {
  return { ...stoppedMember(scene, random), shortest: STALL_MS };
}

export function killedMember({ etcd }: Scene, random: Random): Fault {
  const index = random.below(MEMBERS.length);
  return {
    kind: "member killed",
    name: `member${index} is killed`,
    targets: [`member${index}`],
    begin: () => etcd.kill(index),
    end: () => etcd.restart(index),
  };
}

export function stoppedMembers({ etcd }: Scene): Fault {
  return {
    kind: "quorum lost",
    name: "all members are stopped",
    targets: MEMBERS,
    begin: () => etcd.stop(),
    end: () => etcd.resume(),
  };
}

export function killedMembers({ etcd }: Scene): Fault {
  return {
    kind: "all members killed",
    name: "all members are killed",
    targets: MEMBERS,
    begin: async () => {
      for (const index of MEMBERS.keys()) await etcd.kill(index);
    },
    end: () => {
      for (const index of MEMBERS.keys()) etcd.restart(index);
    },
  };
}

export function slowMember({ etcd }: Scene, random: Random): Fault {
  const index = random.below(MEMBERS.length);
  const flushes = new SlowFlushes();
  return {
    kind: "disk of a member slow",
    name: `member${index}'s disk is slow`,
    targets: [`member${index}`],
    begin: () => flushes.begin(etcd.pids[index], SLOW_FLUSH_MS),
    end: () => flushes.end(),
  };
}

/** What the leader writes does not come to its disk for longer than anybody waits for it. */
export function hungLeader({ etcd }: Scene): Fault {
  const flushes = new SlowFlushes();
  return {
    kind: "disk of the leader hung",
    name: "the leader's disk hangs",
    targets: MEMBERS,
    shortest: HUNG_FLUSH_MS,
    begin: () =>
      patiently("to find the leader", async () => {
        const leader = await etcd.leader();
        if (leader !== undefined) flushes.begin(etcd.pids[leader], HUNG_FLUSH_MS);
      }),
    end: () => flushes.end(),
  };
}

export function steppedMemberClock({ etcd }: Scene, random: Random): Fault {
  const index = random.below(MEMBERS.length);
  const seconds = stepOf(random);
  const set = (ahead: number) => {
    const pid = etcd.pids[index];
    if (pid !== undefined) setAhead(pid, ahead);
  };
  return {
    kind: "wall clock of a member",
    name: `the wall clock of member${index} is ${seconds} s ahead`,
    targets: [`member${index}`],
    begin: () => set(seconds),
    end: () => set(0),
  };
}

/** Has each flush of a process take longer, by strace. */
class SlowFlushes {
  #strace: Deno.ChildProcess | undefined;

  begin(pid: number | undefined, milliseconds: number): void {
    if (pid === undefined) return;
    const inject = `inject=fdatasync:delay_enter=${milliseconds * 1000}`;
    const args = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject, "-p", String(pid)];
    this.#strace = new Deno.Command("strace", {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  async end(): Promise<void> {
    const strace = this.#strace;
    if (strace === undefined) return;
    // It may have ended with the process that it traced.
    await machine.run(["kill", "-INT", String(strace.pid)]);
    await strace.status;
  }
}
