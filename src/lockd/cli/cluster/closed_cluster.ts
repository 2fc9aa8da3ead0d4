import { UsageError } from "../../../chassis/config/usage_error.ts";
import type { Arguments, OptionSpec } from "../../../chassis/cli/arguments.ts";
import { CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { Entries } from "../../cluster/session/entries.ts";
import type { ClusterKeys } from "../../cluster/keys/keys.ts";
import { decodeMeta, encodeMeta, type MetaRecord } from "../../cluster/keys/meta_record.ts";
import type { KeyOperation } from "../../../etcd/wire/transaction.ts";
import type { Compare } from "../../../etcd/wire/transaction.ts";
import type { EtcdQuestions } from "./etcd_questions.ts";
import { tellingSoFar } from "./so_far.ts";
import { awaitedUnknown, unknownNames, unknownStill } from "./unknown_names.ts";

/** How long a command waits for the hosts that it names, in s, when nobody says otherwise. */
const WAIT_SECONDS = 30;
const LOOK_MS = 1000;
/** Tries to change what all hosts agree upon while they change it too. */
const TRIES = 5;

/** The options of a command that says which hosts a cluster has. */
export const EXPECT_OPTIONS: readonly OptionSpec[] = [
  {
    name: "expect",
    value: "HOST,...",
    summary: "every host that uses the cluster's disks, by name or id",
  },
  { name: "wait", value: "SECONDS", summary: `how long to wait for them (default ${WAIT_SECONDS})` },
];

/** The hosts that an option names. @throws UsageError */
export function hostsOf(args: Arguments, option: "expect" | "without"): readonly string[] {
  const hosts = (args.value(option) ?? "").split(",").map((host) => host.trim()).filter((host) =>
    host !== ""
  );
  if (option === "expect" && hosts.length === 0) {
    throw new UsageError('Option "--expect" is needed: name every host that uses the disks of the cluster');
  }
  return [...new Set(hosts)];
}

/** @throws UsageError */
export function waitOf(args: Arguments): number {
  const text = args.value("wait") ?? String(WAIT_SECONDS);
  if (!/^\d{1,6}$/.test(text)) {
    throw new UsageError(`Option "--wait" needs a number of seconds, got "${text}"`);
  }
  return Number(text) * 1000;
}

/** A cluster as a command finds it, whose hosts have to put in what they have before it opens. */
export class ClosedCluster {
  readonly #questions: EtcdQuestions;
  readonly #keys: ClusterKeys;
  readonly #warn: (message: string) => void;
  /** Names that etcd knows nothing of, as they were told last. */
  #told: readonly string[] = [];

  /** @param warn says something while a host is waited for */
  constructor(
    { questions, keys }: { readonly questions: EtcdQuestions; readonly keys: ClusterKeys },
    warn: (message: string) => void,
  ) {
    this.#questions = questions;
    this.#keys = keys;
    this.#warn = warn;
  }

  /**
   * Changes what all hosts agree upon.
   *
   * @param changed what it is to be; undefined: it stays as it is. It may be asked again, of something newer
   * @param besides what is changed with it
   * @throws CommandError
   */
  change(
    changed: (meta: MetaRecord) => MetaRecord | undefined,
    besides: () => { readonly compare: readonly Compare[]; readonly put: readonly KeyOperation[] } = () =>
      NOTHING,
  ): void {
    const { meta: key } = this.#keys;
    for (let left = TRIES; left > 0; left--) {
      const [entry] = this.#questions.get(key);
      if (entry === undefined) {
        throw new CommandError(
          CommandExit.PROBLEM,
          "No host has joined this cluster yet: set it up in virtlockd.conf of each, and say 'virtlockd cluster join' there",
        );
      }
      const meta = changed(decodeMeta(entry));
      if (meta === undefined) return;
      const { compare, put } = besides();
      const done = this.#questions.change({
        compare: [{ kind: "changed-at", key, revision: entry.changedAt }, ...compare],
        success: [{ op: "put", key, value: encodeMeta(meta) }, ...put],
        failure: [],
      });
      // What is not known to have been done is looked at again: doing it twice is no harm.
      if (done.kind === "done" && done.result.succeeded) return;
    }
    throw new CommandError(
      CommandExit.PROBLEM,
      "Nothing is known to be changed: etcd was changed meanwhile, try again",
    );
  }

  /**
   * Waits until a host has joined, which may just have been told to, or has noticed that etcd was emptied.
   *
   * @param name of the cluster
   * @throws CommandError
   */
  awaitHost(limitMs: number, name: string): void {
    for (let left = limitMs; left > 0; left -= LOOK_MS) {
      if (this.#questions.get(this.#keys.meta)[0] !== undefined) return;
      if (left === limitMs) {
        this.#warn(
          `No host has joined a cluster '${name}' in this etcd yet, and one is waited for. Compare with cluster_name ` +
            "in virtlockd.conf of the hosts; 'virtlockd cluster join' there says what is in the way",
        );
      }
      this.#questions.pause(LOOK_MS);
    }
  }

  /** Tells which names etcd knows nothing of, if they are others than before. @returns these */
  #tellUnknown(named: readonly string[]): readonly string[] {
    const names = unknownNames({ questions: this.#questions, keys: this.#keys }, named);
    if (names.length > 0 && names.join() !== this.#told.join()) this.#warn(awaitedUnknown(names));
    this.#told = names;
    return names;
  }

  /**
   * Waits until the cluster is open.
   *
   * @param limitMs how long
   * @param closedAnew called when nobody has said any more which hosts it has: one has closed it since
   * @throws CommandError with what it waits for
   */
  awaitOpen(limitMs: number, closedAnew: () => void = () => {}): void {
    tellingSoFar(OPENS_BY_ITSELF, () => this.#awaitOpen(limitMs, closedAnew));
  }

  #awaitOpen(limitMs: number, closedAnew: () => void): void {
    for (let left = limitMs;; left -= LOOK_MS) {
      const [entry] = this.#questions.get(this.#keys.meta);
      const meta = entry === undefined ? undefined : decodeMeta(entry);
      if (meta?.phase === "open") return;
      if (meta?.expect.length === 0) closedAnew();
      const unknown = this.#tellUnknown(meta?.expect ?? []);
      if (left <= 0) {
        const awaited = meta === undefined
          ? "etcd was emptied"
          : new Entries(this.#keys, this.#questions.list(this.#keys.entries), meta).awaited;
        throw new CommandError(
          CommandExit.PROBLEM,
          `The cluster is not open yet${awaited === undefined ? "" : `: ${awaited}`}. ${OPENS_BY_ITSELF}. ` +
            (unknown.length === 0
              ? "Where a name was wrong, say the command again with the right ones"
              : unknownStill(unknown)),
        );
      }
      this.#questions.pause(LOOK_MS);
    }
  }
}

const OPENS_BY_ITSELF =
  "It opens by itself as soon as every host that was named has joined; 'virtlockd status' says " +
  "on each why it has not";
const NOTHING = { compare: [], put: [] };
