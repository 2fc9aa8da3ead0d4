import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { Etcd } from "./etcd.ts";
import { type EtcdMember, etcdMembers, foreignText, membersText } from "./etcd_members.ts";

/** How often the members are asked, in ms: they are upgraded one by one, while the daemon runs. */
const LOOK_MS = 300_000;
/** Time limit, in ms. */
const ASK_MS = 4000;

/** What asking for versions needs. */
export interface EtcdVersionsParts {
  readonly etcd: Pick<Etcd, "ask" | "unreachable">;
  readonly loop: Pick<EventLoop, "after">;
  readonly observer: EtcdVersionsObserver;
}

/** Told of what may give one lock to two hosts: versions with faults, and members of several etcds. */
export interface EtcdVersionsObserver {
  /** @param members all of them with their versions, for people. Told once for each text */
  clusterUnsafe(members: string): void;
  /** @param members those of another etcd than others, for people. Told once for each text */
  clusterOfSeveral(members: string): void;
}

/** Knows which versions the members of etcd are. */
export class EtcdVersions {
  readonly #parts: EtcdVersionsParts;
  #members: readonly EtcdMember[] | undefined;
  #told: string | undefined;
  #toldForeign: string | undefined;

  constructor(parts: EtcdVersionsParts) {
    this.#parts = parts;
  }

  /** The members as they were when they were last asked; undefined: they have not been. */
  get members(): readonly EtcdMember[] | undefined {
    return this.#members;
  }

  /** Begins to ask now and then. */
  begin(): void {
    this.#parts.loop.after(LOOK_MS, () => {
      this.ask();
      this.begin();
    });
  }

  /** Asks now, where that is possible. */
  ask(): void {
    const { etcd, observer } = this.#parts;
    if (etcd.unreachable !== undefined) return;
    etcd.ask({ kind: "versions" }, ASK_MS, (answer) => {
      if (answer.kind !== "versions") return;
      this.#members = etcdMembers(answer.members);
      const unsafe = this.#members.filter((member) => member.unsafe !== undefined);
      const text = membersText(unsafe);
      if (unsafe.length > 0 && text !== this.#told) observer.clusterUnsafe(text);
      this.#told = text;
      const foreign = foreignText(this.#members);
      if (foreign !== undefined && foreign !== this.#toldForeign) observer.clusterOfSeveral(foreign);
      this.#toldForeign = foreign;
    });
  }
}
