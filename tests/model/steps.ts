import { Random } from "../support/random.ts";

/** Clients of a sequence, by number. */
export const CLIENTS = 5;
/**
 * Owners whose process is none of this machine, by number; the last is another domain with the first one's
 * pid.
 */
export const OWNERS = 4;
/** Processes that are holders themselves, by number; as owners they come behind the others. */
export const HOLDERS = 3;
/** The holder that has no connection: its process is only watched, and has to be killed by others. */
export const LONE_HOLDER = HOLDERS - 1;

/**
 * Lockspaces by number: the default one, two that can be made, a file, a path behind a file, and one that is
 * adopted where nobody else may write a directory above it.
 */
export const LOCKSPACES = ["", "/locks/a", "/locks/b", "/plain", "/plain/below", "/locks/adopted"] as const;
/** Names in lockspace directories. */
export const LEASES = ["r0", "r1", "r2", "linked", "", "..", "../out", "/out", "none/r0"] as const;
/** Names in the default lockspace: paths in the sequence's directory, and the empty name. */
export const DISKS = [
  "/disks/0",
  "/disks/0-again",
  "/disks/1",
  "/disks/1-linked",
  "/disks/dangling",
  "/disks/foreign",
  "/disks/foreign-shared",
  "/disks/absent",
  "/disks",
  "/locks/a/r0",
  "",
] as const;

/**
 * One thing that happens. Whatever is impossible, as a request of a client that is not connected, is passed
 * over.
 */
export type Step =
  | { readonly op: "connect" | "close"; readonly client: number }
  | {
    readonly op: "register";
    readonly client: number;
    readonly owner: number;
    readonly id: number;
    readonly flags: number;
  }
  | { readonly op: "restrict"; readonly client: number; readonly flags: number }
  | { readonly op: "new"; readonly client: number; readonly lockspace: number; readonly flags: number }
  | { readonly op: "ensure"; readonly client: number; readonly lockspace: number }
  | {
    readonly op: "create" | "delete" | "acquire" | "release";
    readonly client: number;
    readonly lockspace: number;
    readonly name: number;
    readonly flags: number;
  }
  /** A holder's process begins; its connection ends, or it is killed. */
  | { readonly op: "begin" | "drop" | "kill"; readonly holder: number }
  /** A write begins or ends that no process has any more, to one of {@link DISKS}. */
  | { readonly op: "write" | "written"; readonly disk: number }
  /** An administrator frees a lock that waits for last writes. */
  | { readonly op: "free"; readonly lockspace: number; readonly name: number }
  /** `wait`: until it is done. */
  | { readonly op: "re-exec"; readonly wait: boolean };

/** How often what happens. */
export interface Mixture {
  /** Of a thousand steps so many re-execs, and beginnings or ends of holders. */
  readonly reExecs: number;
  readonly holders: number;
  /** The same for writes that no process has any more, where locks wait for these; else absent. */
  readonly writes?: number;
}

/** Steps at random. */
export function randomSteps(seed: number, count: number, { reExecs, holders, writes = 0 }: Mixture): Step[] {
  const random = new Random(seed);
  const steps: Step[] = [];
  for (let client = 0; client < CLIENTS - 1; client++) {
    steps.push({ op: "connect", client }, {
      op: "register",
      client,
      owner: random.below(OWNERS),
      id: 1,
      flags: 0,
    });
  }
  steps.push({ op: "ensure", client: 0, lockspace: 1 }, { op: "begin", holder: 0 });
  while (steps.length < count) {
    const kind = random.below(1000);
    if (kind < reExecs) steps.push({ op: "re-exec", wait: random.once(2) });
    else if (kind < reExecs + holders) {
      steps.push({ op: random.pick(["begin", "begin", "drop", "kill"]), holder: random.below(HOLDERS) });
    } else if (kind < reExecs + holders + writes) {
      steps.push(...shortLife(random));
    } else steps.push(request(random));
  }
  return steps;
}

/** A holder that locks something, ends while it still writes, and somebody who wants the same. */
function shortLife(random: Random): Step[] {
  const holder = random.below(HOLDERS);
  const [client, other] = [random.below(CLIENTS), random.below(CLIENTS)];
  const disk = random.below(5);
  const places = [{ lockspace: 0, name: disk }, somewhere(random)];
  const flags = random.below(4);
  return [
    { op: "begin", holder },
    { op: "connect", client },
    { op: "register", client, owner: OWNERS + holder, id: 7, flags: 0 },
    ...random.once(2) ? [{ op: "write", disk } as const] : [],
    ...places.map((place): Step => ({ op: "acquire", client, ...place, flags })),
    { op: random.once(2) ? "kill" : "drop", holder },
    ...random.once(4) ? [{ op: "re-exec", wait: true } as const] : [],
    { op: "connect", client: other },
    { op: "register", client: other, owner: random.below(OWNERS), id: 7, flags: 0 },
    ...places.map((place): Step => ({ op: "acquire", client: other, ...place, flags: random.below(4) })),
    ...random.once(2) ? [{ op: "written", disk } as const] : [],
    ...random.once(2) ? [{ op: "free", ...places[1] as typeof places[0] } as const] : [],
  ];
}

function request(random: Random): Step {
  const client = random.below(CLIENTS);
  const flags = random.once(30) ? random.pick([1, 4, 0x80000000]) : 0;
  const kind = random.below(100);
  if (kind < 4) return { op: "connect", client };
  if (kind < 6) return { op: "close", client };
  if (kind < 12) {
    const owner = random.below(OWNERS + HOLDERS);
    return { op: "register", client, owner, id: random.once(12) ? 0 : 7, flags };
  }
  if (kind < 13) return { op: "restrict", client, flags };
  if (kind < 15) return { op: "new", client, lockspace: random.below(LOCKSPACES.length), flags };
  if (kind < 18) return { op: "ensure", client, lockspace: random.below(LOCKSPACES.length) };
  const resource = { client, ...somewhere(random) };
  if (kind < 24) return { op: "create", ...resource, flags };
  if (kind < 30) return { op: "delete", ...resource, flags };
  if (kind < 66) return { op: "acquire", ...resource, flags: random.once(30) ? 7 : random.below(4) };
  return { op: "release", ...resource, flags };
}

function somewhere(random: Random): { lockspace: number; name: number } {
  const lockspace = random.once(2)
    ? 0
    : random.once(12)
    ? random.below(LOCKSPACES.length)
    : 1 + random.below(2);
  const name = random.once(4)
    ? random.below(lockspace === 0 ? DISKS.length : LEASES.length)
    : random.below(3);
  return { lockspace, name };
}
