import type { Random } from "../../support/random.ts";
import { type Fault, FORGOTTEN_MS, nothing, type Scene, STALL_MS } from "./fault.ts";
import { setAhead, stepOf } from "./wall_clock.ts";

// What happens to a host's daemon and its link.

export function killedLink({ hosts }: Scene, random: Random): Fault {
  const { name, cluster } = random.pick(hosts);
  const begin = () => cluster.killLinks();
  return { kind: "link killed", name: `${name}'s link is killed`, targets: [], begin, end: nothing };
}

export function stoppedLink({ hosts }: Scene, random: Random): Fault {
  const { name, cluster } = random.pick(hosts);
  return {
    kind: "link stopped",
    name: `${name}'s link is stopped`,
    targets: [`${name}'s link`],
    begin: () => cluster.signalLinks("SIGSTOP"),
    end: () => cluster.signalLinks("SIGCONT"),
  };
}

export function stalledLink(scene: Scene, random: Random): Fault {
  return { ...stoppedLink(scene, random), shortest: STALL_MS };
}

export function killedDaemon({ hosts }: Scene, random: Random): Fault {
  const { name, manager } = random.pick(hosts);
  const begin = () => manager.crash();
  return { kind: "daemon killed", name: `${name}'s daemon is killed`, targets: [name], begin, end: nothing };
}

export function stoppedDaemon({ hosts }: Scene, random: Random): Fault {
  const { name, manager } = random.pick(hosts);
  return {
    kind: "daemon stopped",
    name: `${name}'s daemon is stopped`,
    targets: [name],
    begin: () => Deno.kill(manager.pid, "SIGSTOP"),
    end: () => Deno.kill(manager.pid, "SIGCONT"),
  };
}

/** Its guests go on, and nobody hears of their host. */
export function forgottenDaemon(scene: Scene, random: Random): Fault {
  const kind = "daemon stopped beyond its lease";
  return { ...stoppedDaemon(scene, random), kind, shortest: FORGOTTEN_MS };
}

export function executedDaemon({ hosts }: Scene, random: Random): Fault {
  const { name, manager } = random.pick(hosts);
  return {
    kind: "daemon executed anew",
    name: `${name}'s daemon is executed anew`,
    targets: [name],
    begin: () => Deno.kill(manager.pid, "SIGUSR1"),
    end: nothing,
  };
}

export function restartedDaemon({ hosts }: Scene, random: Random): Fault {
  const { name, manager } = random.pick(hosts);
  return {
    kind: "daemon restarted",
    name: `${name}'s daemon is restarted`,
    targets: [name],
    begin: () => manager.restart(),
    end: nothing,
  };
}

/** The wall clock of the daemon and of its link; of either the next process has the right one. */
export function steppedHostClock({ hosts }: Scene, random: Random): Fault {
  const { name, manager, cluster } = random.pick(hosts);
  const seconds = stepOf(random);
  const set = (ahead: number) => {
    for (const pid of [manager.pid, ...cluster.linkPids]) setAhead(pid, ahead);
  };
  return {
    kind: "wall clock of a host",
    name: `the wall clock of ${name} is ${seconds} s ahead`,
    targets: [name, `${name}'s link`],
    begin: () => set(seconds),
    end: () => set(0),
  };
}
