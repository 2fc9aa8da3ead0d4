import type { Etcd } from "../support/etcd.ts";
import type { Random } from "../support/random.ts";
import type { NemesisHost } from "./nemesis_host.ts";
import type { Network } from "./network.ts";

/** What a fault may be done to. */
export interface Scene {
  readonly etcd: Etcd;
  readonly network: Network;
  readonly hosts: readonly NemesisHost[];
}

/** Something that is wrong for a while. */
export interface Fault {
  readonly name: string;
  /** What it is done to: of faults with a target in common only one is there at a time. */
  readonly targets: readonly string[];
  /** It lasts so long at least, in ms. */
  readonly shortest?: number;
  begin(): Promise<void> | void;
  /** Undoes it. */
  end(): Promise<void> | void;
}

/** Names of the members' places in the network. */
export const MEMBERS = ["member0", "member1", "member2"] as const;

/**
 * An answer is waited for less long than that. What is held up so long comes as late as it can: when nobody
 * waits for it any more.
 */
const STALL_MS = 5500;

type Maker = (scene: Scene, random: Random) => Fault;

/** Faults, each as often as it is listed. */
const MAKERS: readonly Maker[] = [
  stoppedMember,
  stalledMember,
  stalledMember,
  killedMember,
  stoppedMembers,
  slowLeader,
  killedLink,
  killedLink,
  stoppedLink,
  stalledLink,
  stalledLink,
  killedDaemon,
  killedDaemon,
  stoppedDaemon,
  executedDaemon,
  restartedDaemon,
  lonelyHost,
  lonelyHost,
  halfDeafHost,
  lonelyMember,
  halfDeafMember,
  steppedClock,
];

/** A fault by chance. */
export function randomFault(scene: Scene, random: Random): Fault {
  return random.pick(MAKERS)(scene, random);
}

const nothing = () => {};

function stoppedMember({ etcd }: Scene, random: Random): Fault {
  const index = random.below(MEMBERS.length);
  return {
    name: `member${index} is stopped`,
    targets: [`member${index}`],
    begin: () => etcd.signal(index, "SIGSTOP"),
    end: () => etcd.signal(index, "SIGCONT"),
  };
}

function stalledMember(scene: Scene, random: Random): Fault {
  return { ...stoppedMember(scene, random), shortest: STALL_MS };
}

function killedMember({ etcd }: Scene, random: Random): Fault {
  const index = random.below(MEMBERS.length);
  return {
    name: `member${index} is killed`,
    targets: [`member${index}`],
    begin: () => etcd.kill(index),
    end: () => etcd.restart(index),
  };
}

function stoppedMembers({ etcd }: Scene): Fault {
  return {
    name: "all members are stopped",
    targets: MEMBERS,
    begin: () => etcd.stop(),
    end: () => etcd.resume(),
  };
}

/** Its disk takes 300 ms for each flush. */
function slowLeader({ etcd }: Scene, random: Random): Fault {
  const index = random.below(MEMBERS.length);
  let strace: Deno.ChildProcess | undefined;
  return {
    name: `member${index}'s disk is slow`,
    targets: [`member${index}`],
    begin: () => {
      const inject = "inject=fdatasync:delay_enter=300000";
      const args = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject];
      strace = new Deno.Command("strace", {
        args: [...args, "-p", String(etcd.pids[index])],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
    },
    end: async () => {
      strace?.kill("SIGINT");
      await strace?.status;
    },
  };
}

function killedLink({ hosts }: Scene, random: Random): Fault {
  const { name, cluster } = random.pick(hosts);
  return { name: `${name}'s link is killed`, targets: [], begin: () => cluster.killLinks(), end: nothing };
}

function stoppedLink({ hosts }: Scene, random: Random): Fault {
  const { name, cluster } = random.pick(hosts);
  return {
    name: `${name}'s link is stopped`,
    targets: [`${name}'s link`],
    begin: () => cluster.signalLinks("SIGSTOP"),
    end: () => cluster.signalLinks("SIGCONT"),
  };
}

function stalledLink(scene: Scene, random: Random): Fault {
  return { ...stoppedLink(scene, random), shortest: STALL_MS };
}

function killedDaemon({ hosts }: Scene, random: Random): Fault {
  const { name, manager } = random.pick(hosts);
  return { name: `${name}'s daemon is killed`, targets: [name], begin: () => manager.crash(), end: nothing };
}

function stoppedDaemon({ hosts }: Scene, random: Random): Fault {
  const { name, manager } = random.pick(hosts);
  return {
    name: `${name}'s daemon is stopped`,
    targets: [name],
    begin: () => Deno.kill(manager.pid, "SIGSTOP"),
    end: () => Deno.kill(manager.pid, "SIGCONT"),
  };
}

function executedDaemon({ hosts }: Scene, random: Random): Fault {
  const { name, manager } = random.pick(hosts);
  return {
    name: `${name}'s daemon is executed anew`,
    targets: [name],
    begin: () => Deno.kill(manager.pid, "SIGUSR1"),
    end: nothing,
  };
}

function restartedDaemon({ hosts }: Scene, random: Random): Fault {
  const { name, manager } = random.pick(hosts);
  return {
    name: `${name}'s daemon is restarted`,
    targets: [name],
    begin: () => manager.restart(),
    end: nothing,
  };
}

function lonelyHost({ network, hosts }: Scene, random: Random): Fault {
  const { name } = random.pick(hosts);
  return cuts(network, `${name} is cut off`, MEMBERS.flatMap((member) => [[member, name], [name, member]]));
}

/** In one direction only, with some of the members. */
function halfDeafHost({ network, hosts }: Scene, random: Random): Fault {
  const { name } = random.pick(hosts);
  const spared = random.once(2) ? random.pick(MEMBERS) : undefined;
  const members = MEMBERS.filter((member) => member !== spared);
  const heard = random.once(2);
  return cuts(
    network,
    heard ? `${name} does not hear ${members.join(", ")}` : `${members.join(", ")} do not hear ${name}`,
    members.map((member) => heard ? [member, name] : [name, member]),
  );
}

function lonelyMember({ network }: Scene, random: Random): Fault {
  const member = random.pick(MEMBERS);
  const others = MEMBERS.filter((other) => other !== member);
  const both = others.flatMap((other) => [[member, other], [other, member]] as const);
  return cuts(network, `${member} is cut off from the others`, both);
}

function halfDeafMember({ network }: Scene, random: Random): Fault {
  const member = random.pick(MEMBERS);
  const other = random.pick(MEMBERS.filter((each) => each !== member));
  return cuts(network, `${member} does not hear ${other}`, [[other, member]]);
}

function steppedClock({ hosts }: Scene, random: Random): Fault {
  const { name, cluster } = random.pick(hosts);
  return {
    name: `the wall clock of ${name}'s link is an hour ahead`,
    targets: [`${name}'s link`],
    begin: () => cluster.signalLinks("SIGUSR2"),
    end: () => cluster.signalLinks("SIGUSR1"),
  };
}

function cuts(network: Network, name: string, pairs: readonly (readonly string[])[]): Fault {
  const each = async (what: (from: string, to: string) => Promise<void>) => {
    for (const [from = "", to = ""] of pairs) await what(from, to);
  };
  return {
    name,
    targets: [],
    begin: () => each((from, to) => network.cut(from, to)),
    end: () => each((from, to) => network.heal(from, to)),
  };
}
