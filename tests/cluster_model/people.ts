import { Fencer } from "../../src/lockd/cli/cluster/fencer.ts";
import { releaseByHand, say } from "../../src/lockd/cluster/keys/fencing.ts";
import { decodeMeta, encodeMeta } from "../../src/lockd/cluster/keys/meta_record.ts";
import { decodeSession } from "../../src/lockd/cluster/keys/session_record.ts";
import type { KeyValue } from "../../src/etcd/wire/transaction.ts";
import type { Chooser } from "./chooser.ts";
import type { Guests } from "./guests.ts";
import { KEYS, type Network } from "./network.ts";
import type { Kept, Life } from "./played_daemon.ts";
import type { PlayedEtcd } from "./played_etcd.ts";

/** Who fences. */
const WORD = { by: "ann", from: "desk", at: 1 };
const META = KEYS.meta;

/** What people work with. */
export interface PeopleParts {
  readonly hosts: number;
  readonly etcd: Pick<PlayedEtcd, "get" | "put">;
  readonly chooser: Chooser;
  readonly network: Network;
  readonly guests: Pick<Guests, "cutOff">;
  /** Session that each host keeps. */
  readonly kept: readonly (Kept | undefined)[];
}

/** What people do by commands: they say which hosts there are, fence hosts, and free what nobody has. */
export class People {
  readonly #parts: PeopleParts;
  /** Sessions as they were when they were condemned. */
  readonly #condemned = new Map<number, KeyValue>();
  readonly #fencer: Fencer;
  #reopened = 0;

  constructor(parts: PeopleParts) {
    this.#parts = parts;
    const { network } = parts;
    this.#fencer = new Fencer({
      questions: {
        get: (...keys) => keys.map((key) => network.entry(key)),
        list: (prefix) => network.list(prefix),
        change: (transaction) => ({ kind: "done", result: network.change(transaction) }),
        pause: () => {},
      },
      keys: KEYS,
      word: WORD,
    });
  }

  /** A person says which hosts there are. */
  operate(): void {
    const value = this.#parts.etcd.get(META);
    if (value === undefined) return;
    const meta = decodeMeta({ key: META, value, changedAt: 0 });
    if (meta.phase === "open") return;
    const expect = Array.from({ length: this.#parts.hosts }, (_, host) => `h${host}`);
    if (!this.#parts.network.unsaid && meta.expect.length === 0) {
      this.#parts.etcd.put(META, encodeMeta({ ...meta, expect }));
    }
  }

  /** A person closes a cluster that is open, as for other directories; else see {@link operate}. */
  reopen(): void {
    const value = this.#parts.etcd.get(META);
    const meta = value === undefined ? undefined : decodeMeta({ key: META, value, changedAt: 0 });
    // What is written before anybody has said that etcd was restored may keep the hosts from noticing it.
    if (meta?.phase !== "open" || this.#parts.network.unsaid) return this.operate();
    const round = `reopened ${++this.#reopened}`;
    this.#parts.etcd.put(META, encodeMeta({ ...meta, phase: "forming", round, expect: [], without: [] }));
  }

  /**
   * A person goes on with fencing a host: condemns it, then cuts it off from the disks and says so, then
   * takes its locks away. The daemon may be well all the time.
   */
  fence(host: number): void {
    const kept = this.#parts.kept[host];
    const entry = kept === undefined ? undefined : this.#parts.network.entry(KEYS.session(kept.session));
    if (entry === undefined) return;
    const record = decodeSession(entry);
    const { host: id, name, boot, nonce, fencing } = record;
    const travel = (state: "condemned" | "fenced", seen = entry) => {
      const transaction = say(seen, { host: id, name, boot, nonce, fencing: { state, ...WORD } });
      this.#parts.network.send({
        host: this.#parts.hosts,
        question: { kind: "transaction", transaction },
        reply: () => false,
      });
    };
    switch (fencing?.state) {
      case undefined: {
        // What was said before the host has objected may come later than its objection.
        const seen = this.#condemned.get(host);
        if (seen === undefined || this.#parts.chooser.choose(2, "late") === 0) return travel("condemned");
        return travel("fenced", seen);
      }
      case "condemned":
        this.#condemned.set(host, entry);
        this.#parts.guests.cutOff(host);
        if (this.#parts.chooser.choose(2, "now") === 0) travel("fenced");
        return;
      case "fenced":
        return this.sweep(entry);
    }
  }

  /** Takes away what a fenced session has. */
  sweep(entry: KeyValue): void {
    const session = entry.key.slice(KEYS.sessions.length);
    this.#fencer.sweep(session, { key: entry.key, revision: entry.changedAt });
  }

  /** Sessions that were fenced. */
  get fenced(): KeyValue[] {
    return this.#parts.network.list(KEYS.sessions).filter((entry) =>
      decodeSession(entry).fencing?.state === "fenced"
    );
  }

  /** A person frees the shares that a host has for guests of which its daemon knows nothing. */
  freeShares({ orphans, session }: Life): void {
    for (
      const entry of this.#parts.network.list(KEYS.shares).filter(({ key }) =>
        orphans.useOf(key) === "shared"
      )
    ) {
      const { key } = entry;
      this.#parts.network.change(
        releaseByHand(entry, KEYS.own(session.id, key), KEYS.want(session.id, key)),
      );
    }
  }
}
