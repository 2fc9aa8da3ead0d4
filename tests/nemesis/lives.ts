import type { Random } from "../support/random.ts";
import type { FaultTally } from "./fault_tally.ts";
import type { Grants } from "./grants.ts";
import { type Acquired, Guest, type GuestPlan } from "./guest.ts";
import type { HeldUp } from "./held_up.ts";
import type { History } from "./history.ts";
import type { NemesisHost } from "./nemesis_host.ts";

/** How many disks there are: few, so that guests collide. */
export const DISKS = 4;
const DOMAINS = 6;
const LONGEST_LIFE_MS = 3000;
const SHORT_LIFE_MS = 300;
/** Some outlive the lease by which their host shows that it is there. */
const OLD_AGE_MS = 25_000;
const LONGEST_PAUSE_MS = 400;
/** A guest whose migration has failed goes on within this time. */
const LONGEST_WAY_BACK_MS = 100;
/** The same while its lock is held up on its way to somebody else. */
const LONGEST_HELD_WAY_BACK_MS = 1000;
/** A change that is held up for less is late only; for more, nobody waits for it any more. */
const LATE_MS = 3000;
const FORGOTTEN_MS = 4500;
const LONGEST_HELD_UP_MS = 8000;
/** Whoever waits longer for an answer feels that something is wrong. */
const SLOW_MS = 1000;

/** What lives are lived with. */
export interface LivesParts {
  readonly hosts: readonly NemesisHost[];
  readonly grants: Grants;
  readonly history: History;
  readonly tally: FaultTally;
  /** Numbers for guests, each once. */
  readonly number: () => number;
  /** Kills a host's daemon, unless something else is being done to that. */
  readonly kill: (host: NemesisHost) => Promise<void>;
  /** Told of what must not be. */
  readonly violation: (text: string) => void;
}

/**
 * Guests one after the other: each is started on some host, asks for a few disks, writes to them if it gets
 * all, is suspended, resumed or migrated, and killed.
 */
export class Lives {
  readonly #parts: LivesParts;
  readonly #random: Random;
  #ending = Promise.withResolvers<void>();
  #ended = false;

  constructor(parts: LivesParts, random: Random) {
    this.#parts = parts;
    this.#random = random;
  }

  /** Lives on until {@link end}. Settled when the last guest has gone. */
  async run(): Promise<void> {
    while (!this.#ended) {
      try {
        await this.#live();
      } catch (error) {
        // Its process has ended: by the daemon's hand, or its daemon could not be reached.
        if (!(error instanceof Error)) throw error;
        this.#parts.history.add("guest lost", { text: error.message });
      }
      await this.#pause(this.#random.below(LONGEST_PAUSE_MS));
    }
  }

  /** Ends what lives, and lets nothing live again. */
  end(): void {
    this.#ended = true;
    this.#ending.resolve();
  }

  async #live(): Promise<void> {
    const { hosts } = this.#parts;
    const random = this.#random;
    const [host, target] = [random.pick(hosts), random.pick(hosts)];
    const plan = this.#plan();
    await using guest = await Guest.start(host, plan);
    try {
      const acquire = () => this.#acquireAll(guest);
      if (!await (random.once(20) ? this.#heldUp(host, "acquire", acquire) : acquire())) return;
      await this.#write(guest);
      await this.#runOn();
      if (random.once(4)) return await this.#suspend(guest);
      if (target === host || plan.mode === "shared") return;
      if (random.once(2)) return await this.#migrate(guest, target);
      if (random.once(2)) await this.#contest(guest, target);
    } finally {
      this.#parts.grants.gone(guest);
      this.#parts.history.add("kill", { guest: guest.name });
    }
  }

  #plan(): GuestPlan {
    const random = this.#random;
    const first = random.below(DISKS);
    const shared = random.once(8);
    return {
      number: this.#parts.number(),
      domain: random.below(DOMAINS),
      disks: random.once(3) ? [first, (first + 1) % DISKS].sort() : [first],
      mode: shared ? "shared" : "alone",
      writes: random.once(4) ? "plain" : "uring",
      slow: random.once(3),
    };
  }

  /** @returns whether it has got all */
  async #acquireAll(guest: Guest): Promise<boolean> {
    const { grants, history, violation } = this.#parts;
    const { disks, mode } = guest.plan;
    for (const disk of disks) {
      const asked = performance.now();
      const acquired = await guest.acquire(disk);
      history.add(kindOf(acquired), { ...acquired, guest: guest.name, disk, mode });
      if (performance.now() - asked > SLOW_MS) history.add("slow", { guest: guest.name });
      if (acquired.kind !== "granted") return false;
      const other = guest.running ? grants.granted(disk, guest, mode) : undefined;
      if (other !== undefined) violation(`disk ${disk}: ${guest.name} was granted what ${other.name} has`);
    }
    // Those who share write nothing: whose write comes last is their own matter.
    return mode === "alone";
  }

  /** As libvirt does: when one release fails, the rest is not tried. It may be resumed, as another writer. */
  async #suspend(guest: Guest): Promise<void> {
    const { history, number } = this.#parts;
    await guest.stop();
    if (!await this.#releaseAll(guest) || this.#random.once(2)) return;
    await this.#pause(this.#random.below(LONGEST_PAUSE_MS));
    history.add("resume", { guest: guest.name });
    if (!await this.#acquireAll(guest)) return;
    await this.#write(guest, number());
    await this.#runOn();
  }

  /** @param as the number by which the witness knows what it writes from now on */
  async #write(guest: Guest, as: number = guest.plan.number): Promise<void> {
    this.#parts.history.add("writes", { guest: guest.name, as });
    await guest.write(as);
  }

  async #releaseAll(guest: Guest): Promise<boolean> {
    const { grants, history } = this.#parts;
    for (const disk of guest.plan.disks) {
      grants.gone(guest, disk);
      const released = await guest.release(disk);
      const kind = released.kind === "granted" ? "released" : `release ${released.kind}`;
      history.add(kind, { ...released, guest: guest.name, disk });
      if (released.kind !== "granted") return false;
    }
    return true;
  }

  /** The other end is started while this one runs, and gets its locks when this one has given them back. */
  async #migrate(guest: Guest, target: NemesisHost): Promise<void> {
    const { grants, history, number } = this.#parts;
    await using arrived = await Guest.start(target, { ...guest.plan, number: number() });
    try {
      history.add("migration", { from: guest.name, to: arrived.name });
      if (this.#random.once(3)) return await this.#overlap(guest, arrived);
      await guest.stop();
      if (!await this.#releaseAll(guest)) return;
      if (this.#random.once(2)) return await this.#goBack(guest, arrived);
      if (!await this.#acquireAll(arrived)) return;
      grants.gone(guest);
      await guest.kill();
      await this.#write(arrived);
      await this.#runOn();
    } finally {
      grants.gone(arrived);
    }
  }

  /** The other end asks before this one is paused: nothing is kept for this one then. It goes on perhaps. */
  async #overlap(guest: Guest, arrived: Guest): Promise<void> {
    const random = this.#random;
    const pause = async () => {
      await this.#pause(random.below(LONGEST_PAUSE_MS));
      await guest.stop();
      if (await this.#releaseAll(guest) && random.once(2)) await this.#resume(guest, LONGEST_WAY_BACK_MS);
    };
    await this.#heldUp(guest.host, "release", () => Promise.all([this.#arrive(arrived), pause()]));
    await this.#runOn();
  }

  /** It is paused, and while another domain is started with its disks elsewhere it is resumed. */
  async #contest(guest: Guest, elsewhere: NemesisHost): Promise<void> {
    const { grants, history, number } = this.#parts;
    const domain = (guest.plan.domain + 1) % DOMAINS;
    await using other = await Guest.start(elsewhere, { ...guest.plan, domain, number: number() });
    try {
      history.add("contest", { paused: guest.name, started: other.name });
      await guest.stop();
      if (await this.#releaseAll(guest)) await this.#goBack(guest, other);
    } finally {
      grants.gone(other);
    }
  }

  /**
   * One that has given its locks back gets them again while another one is perhaps being granted them: its
   * migration fails, or it is resumed.
   */
  async #goBack(paused: Guest, other: Guest): Promise<void> {
    if (this.#random.once(2)) return await this.#compete(paused, other, LONGEST_WAY_BACK_MS);
    await this.#heldUp(
      paused.host,
      "release",
      () => this.#compete(paused, other, LONGEST_HELD_WAY_BACK_MS),
    );
  }

  /** @param longest the paused one goes back within this time, in ms */
  async #compete(paused: Guest, other: Guest, longest: number): Promise<void> {
    await Promise.all([this.#arrive(other, this.#parts.number), this.#resume(paused, longest)]);
    await this.#runOn();
  }

  /** A guest runs if it gets its disks, else it ends. @param as by what the witness knows it then */
  async #arrive(guest: Guest, as: () => number = () => guest.plan.number): Promise<void> {
    if (await this.#acquireAll(guest)) return await this.#write(guest, as());
    this.#parts.grants.gone(guest);
    await guest.kill();
  }

  /** A guest that is paused goes on, as another writer. @param longest within this time, in ms */
  async #resume(paused: Guest, longest: number): Promise<void> {
    const { history, number } = this.#parts;
    await this.#pause(this.#random.below(longest));
    history.add("way back", { guest: paused.name });
    if (!await this.#acquireAll(paused)) return;
    await this.#write(paused, number());
  }

  /**
   * Does something while the next change of a kind is held up between a host and etcd. Of some the daemon is
   * killed while it waits for that.
   */
  async #heldUp<T>(host: NemesisHost, change: HeldUp["change"], task: () => Promise<T>): Promise<T> {
    const { history, tally } = this.#parts;
    const random = this.#random;
    const way = random.once(4) ? "back" : "there";
    const ms = random.once(2)
      ? random.below(LATE_MS)
      : FORGOTTEN_MS + random.below(LONGEST_HELD_UP_MS - FORGOTTEN_MS);
    history.add("held up", { host: host.name, change, way, ms });
    host.holdUp({ change, way, ms });
    const over = tally.begin(way === "there" ? `${change} held up` : `answer to ${change} late`);
    const doing = task();
    const killed = random.once(3) ? this.#killedIn(host, doing) : undefined;
    try {
      return await doing;
    } finally {
      over();
      await killed;
    }
  }

  /** The daemon is killed when the change that is held up was asked for, if that is before all is done. */
  async #killedIn(host: NemesisHost, doing: Promise<unknown>): Promise<void> {
    const { kill, tally } = this.#parts;
    let done = false;
    const end = () => void (done = true);
    doing.then(end, end);
    while (!done && host.holdsUp) await new Promise((resolve) => setTimeout(resolve, 5));
    if (done) return;
    const over = tally.begin("daemon killed in a change");
    await kill(host);
    over();
  }

  /** A guest runs. Half of them do so for a moment only. */
  async #runOn(): Promise<void> {
    const random = this.#random;
    const longest = random.once(12) ? OLD_AGE_MS : random.once(2) ? LONGEST_LIFE_MS : SHORT_LIFE_MS;
    await this.#pause(random.below(longest));
  }

  /** Waits, unless everything ends. */
  async #pause(milliseconds: number): Promise<void> {
    const over = Promise.withResolvers<void>();
    const timer = setTimeout(over.resolve, milliseconds);
    await Promise.race([over.promise, this.#ending.promise]);
    clearTimeout(timer);
  }
}

/** Who is refused what another one has is refused by right; "unanswered": for any other reason. */
function kindOf(acquired: Acquired): string {
  return acquired.kind === "refused" && !/ is locked by /.test(acquired.text) ? "unanswered" : acquired.kind;
}
