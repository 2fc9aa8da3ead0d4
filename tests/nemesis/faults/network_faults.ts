import type { Random } from "../../support/random.ts";
import type { Network } from "../network.ts";
import { type Fault, FORGOTTEN_MS, MEMBERS, type Scene } from "./fault.ts";

// What is cut between hosts and members, and between members.

export function lonelyHost({ network, hosts }: Scene, random: Random): Fault {
  const { name } = random.pick(hosts);
  const pairs = MEMBERS.flatMap((member) => [[member, name], [name, member]]);
  return cuts(network, "host cut off", `${name} is cut off`, pairs);
}

export function forgottenHost(scene: Scene, random: Random): Fault {
  const kind = "host cut off beyond its lease";
  return { ...lonelyHost(scene, random), kind, shortest: FORGOTTEN_MS };
}

/** In one direction only, with some of the members. */
export function halfDeafHost({ network, hosts }: Scene, random: Random): Fault {
  const { name } = random.pick(hosts);
  const spared = random.once(2) ? random.pick(MEMBERS) : undefined;
  const members = MEMBERS.filter((member) => member !== spared);
  const heard = random.once(2);
  return cuts(
    network,
    heard ? "host hears nothing" : "host is not heard",
    heard ? `${name} does not hear ${members.join(", ")}` : `${members.join(", ")} do not hear ${name}`,
    members.map((member) => heard ? [member, name] : [name, member]),
  );
}

export function lonelyMember({ network }: Scene, random: Random): Fault {
  const member = random.pick(MEMBERS);
  const others = MEMBERS.filter((other) => other !== member);
  const both = others.flatMap((other) => [[member, other], [other, member]] as const);
  return cuts(network, "member cut off", `${member} is cut off from the others`, both);
}

export function halfDeafMember({ network }: Scene, random: Random): Fault {
  const member = random.pick(MEMBERS);
  const other = random.pick(MEMBERS.filter((each) => each !== member));
  const name = `${member} does not hear ${other}`;
  return cuts(network, "member does not hear another", name, [[other, member]]);
}

/** Hosts and members are in two parts, of which one hears nothing of the other, or neither does. */
export function split({ network, hosts }: Scene, random: Random): Fault {
  const nodes = [...MEMBERS, ...hosts.map(({ name }) => name)];
  const some = nodes.filter(() => random.once(2));
  const others = nodes.filter((node) => !some.includes(node));
  const deaf = some.flatMap((to) => others.map((from) => [from, to]));
  if (random.once(3)) {
    return cuts(network, "network split one way", `${some} do not hear ${others}`, deaf);
  }
  const both = [...deaf, ...deaf.map(([from = "", to = ""]) => [to, from])];
  return cuts(network, "network split", `${some} and ${others} do not hear each other`, both);
}

function cuts(
  network: Network,
  kind: string,
  name: string,
  pairs: readonly (readonly string[])[],
): Fault {
  const each = async (what: (from: string, to: string) => Promise<void>) => {
    for (const [from = "", to = ""] of pairs) await what(from, to);
  };
  return {
    kind,
    name,
    targets: [],
    begin: () => each((from, to) => network.cut(from, to)),
    end: () => each((from, to) => network.heal(from, to)),
  };
}
