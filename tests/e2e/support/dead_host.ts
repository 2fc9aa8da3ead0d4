import type { Fencing } from "../../../src/lockd/cluster/keys/fencing_record.ts";
import { decodeSession } from "../../../src/lockd/cluster/keys/session_record.ts";
import { ClusterHost, PATIENT } from "../../support/cluster_host.ts";
import { Etcd } from "../../support/etcd.ts";
import { Holder } from "../../support/holder.ts";
import { PATIENCE_MS, until } from "../../support/until.ts";
import { FenceAttempt, type FenceTimes } from "./fence_attempt.ts";
import type { FenceProgram } from "./fence_program.ts";

/** Autocreate, as libvirt asks for it. */
const AUTOCREATE = 2;
const SESSIONS = "/virtlockd/test/session/";
const HEARD = "/virtlockd/test/host/";
/** Pause between two looks into etcd, each of which starts a process, in ms. */
const LOOK_EVERY = 500;

/** How a cluster with a host of which nothing is heard is made. */
export interface DeadHostOptions {
  /** Of the hosts that live. */
  readonly settings?: string;
  /** Names of the hosts that live. */
  readonly living?: readonly string[];
  /** "killed": its daemon and its link; "stopped": its daemon hangs, and may go on. */
  readonly end?: "killed" | "stopped";
  /** What `a` says of itself to those who fence it. */
  readonly data?: string;
}

/** A cluster in which nothing is heard of host `a`, which has a lock, and that lives on other hosts. */
export class DeadHost implements AsyncDisposable {
  readonly etcd: Etcd;
  readonly a: ClusterHost;
  /** Has the lock; goes with a host that is killed. */
  readonly guest: Holder;
  /** Hosts that live, and on which others can be fenced. */
  readonly living: readonly ClusterHost[];
  /** Session of `a`. */
  readonly session: string;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    parts: Pick<DeadHost, "etcd" | "a" | "guest" | "living" | "session">,
    stack: AsyncDisposableStack,
  ) {
    this.etcd = parts.etcd;
    this.a = parts.a;
    this.guest = parts.guest;
    this.living = parts.living;
    this.session = parts.session;
    this.#stack = stack;
  }

  /** Makes one, and waits until nothing is heard of the host. */
  static async make(options: DeadHostOptions = {}): Promise<DeadHost> {
    const { living: names = ["b"], end = "killed", data = "ipmi 10.0.0.7" } = options;
    const settings = options.settings === undefined ? {} : { settings: options.settings };
    await using stack = new AsyncDisposableStack();
    const etcd = stack.use(await Etcd.start());
    const a = stack.use(
      await ClusterHost.start(etcd, "a", {
        settings: `${PATIENT}\ncluster_fence_data = "${data}"\n`,
      }),
    );
    const guest = stack.use(await Holder.start(a.daemon));
    await guest.acquire(a.space, "disk", AUTOCREATE);
    const [key = ""] = [...(await etcd.keys(SESSIONS)).keys()];
    const living: ClusterHost[] = [];
    for (const name of names) {
      const host = stack.use(await ClusterHost.start(etcd, name, settings));
      await host.startFencing();
      living.push(host);
    }
    if (end === "stopped") {
      a.daemon.signal("SIGSTOP");
    } else {
      await a.daemon.kill();
      a.killLinks();
    }
    const dead = new DeadHost({ etcd, a, guest, living, session: key.slice(SESSIONS.length) }, stack.move());
    await dead.untilSilent("a");
    return dead;
  }

  /** The first of the hosts that live. */
  get b(): ClusterHost {
    const [first] = this.living;
    if (first === undefined) throw new Error("No host lives");
    return first;
  }

  /** Waits until nothing is heard of a host. */
  async untilSilent(host: string): Promise<void> {
    const key = `${HEARD}${host}`;
    await until(
      `${host} not to be heard of`,
      async () => !(await this.etcd.keys(key)).has(key),
      PATIENCE_MS,
      LOOK_EVERY,
    );
  }

  /** Tries once to have it fenced. @param by the host on which that is done */
  attempt(
    program: FenceProgram | string,
    { by = this.b, ...times }: FenceTimes & { readonly by?: ClusterHost | undefined } = {},
  ): Promise<FenceAttempt> {
    const command = typeof program === "string" ? program : program.path;
    return FenceAttempt.on(this.etcd, by, this.session, command, times);
  }

  /** What is said of the session of `a`. */
  async fencing(): Promise<Fencing | undefined> {
    const key = `${SESSIONS}${this.session}`;
    const value = (await this.etcd.keys(key)).get(key) ?? "";
    return decodeSession({ key, value, changedAt: 1 }).fencing;
  }

  /** Waits until that is said of it. */
  async untilFencing(state: Fencing["state"] | undefined, timeout: number): Promise<void> {
    const reached = async () => (await this.fencing())?.state === state;
    await until(`its session to be ${state ?? "written anew"}`, reached, timeout, LOOK_EVERY);
  }

  /** How many locks there are. */
  async locks(): Promise<number> {
    return (await this.etcd.keys("/virtlockd/test/lock/")).size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
