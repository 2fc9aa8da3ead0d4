import { clientKey, idOf, ordinalOf } from "../../chassis/rpc/client_key.ts";
import { askPeerPidfd } from "../../chassis/rpc/peer.ts";
import { ESRCH } from "../../os/errno.ts";
import type { PeerCredentials } from "../../os/sys.ts";
import { isOwnersProcess } from "../lockspace/owner.ts";
import { readProcess } from "../../os/process_state.ts";
import type { InFlight } from "../../chassis/journal/in_flight.ts";
import type { JournaledClient } from "./journal_state.ts";
import type { RecoveredClient, RecoverySys } from "./recovered.ts";
import type { ReturnedSlots } from "./returned_slots.ts";
import { clientKind, serverOf, type Slot } from "./slots.ts";

/** What the recovery of clients works with. */
export interface ClientRecoveryParts {
  readonly sys: Pick<
    RecoverySys,
    "open" | "read" | "close" | "peerCredentials" | "peerPidfd" | "pidfdOpen"
  >;
  readonly slots: ReturnedSlots;
  readonly inFlight: InFlight;
  /** Unix milliseconds. */
  readonly now: number;
}

/** Brings the connections of an earlier life back. */
export class ClientRecovery {
  readonly #parts: ClientRecoveryParts;
  readonly #clients: RecoveredClient[] = [];
  /** By ordinal of the server. */
  readonly #nextIds: number[];

  constructor(parts: ClientRecoveryParts, nextIds: readonly number[]) {
    this.#parts = parts;
    this.#nextIds = [...nextIds];
  }

  get clients(): readonly RecoveredClient[] {
    return this.#clients;
  }

  get nextIds(): readonly number[] {
    return this.#nextIds;
  }

  /** A client that is recorded. */
  recorded(record: JournaledClient): void {
    const { slots } = this.#parts;
    const { key, pid, slot: index } = record;
    const ordinal = ordinalOf(key);
    const kind = clientKind(ordinal);
    this.#nextIds[ordinal] = Math.max(this.#nextIds[ordinal] ?? 1, idOf(key) + 1);
    const fd = slots.take(kind, index, (candidate) => this.#peerOf(candidate) === pid);
    // Its connection is lost. A holder must not be killed for that: nobody but the daemon has ended it.
    if (fd === undefined || index === undefined) return;
    const pidfd = this.#peerOf(fd) === pid ? this.#peerPidfd(record, fd) : undefined;
    if (pidfd === undefined) return slots.drop({ kind, index }, [fd]);
    slots.keep({ kind, index }, key);
    this.#take(record, fd, pidfd);
  }

  /** Clients that are stored and not recorded: they connected in the last moment. What else is left goes. */
  unrecorded(): void {
    for (const { slot, fds } of this.#parts.slots.rest(() => true)) this.#unrecorded(slot, fds);
  }

  #unrecorded(slot: Slot, fds: readonly number[]): void {
    const { sys, slots, now } = this.#parts;
    const ordinal = serverOf(slot.kind);
    const [fd, ...others] = fds;
    if (ordinal === undefined || fd === undefined) return slots.drop(slot, fds);
    for (const each of others) sys.close(each);
    const id = this.#nextIds[ordinal] ?? 1;
    this.#nextIds[ordinal] = id + 1;
    const key = clientKey(ordinal, id);
    slots.keep(slot, key);
    const credentials: PeerCredentials = { pid: 0, uid: 0, gid: 0 };
    sys.peerCredentials(fd, credentials);
    const record = { key, ...credentials, since: now, owner: undefined, restricted: false };
    this.#take(record, fd, this.#peerPidfd(record, fd) ?? -1);
  }

  #take(record: JournaledClient, fd: number, pidfd: number): void {
    const { inFlight: { inputs, outputs } } = this.#parts;
    this.#clients.push({
      record,
      fd,
      pidfd,
      input: inputs.get(record.key) ?? { bytes: new Uint8Array(0), dropped: 0 },
      output: outputs.get(record.key) ?? new Uint8Array(0),
    });
  }

  /** Pid of the process at the other end; undefined when it is no socket. */
  #peerOf(fd: number): number | undefined {
    const credentials: PeerCredentials = { pid: 0, uid: 0, gid: 0 };
    return this.#parts.sys.peerCredentials(fd, credentials) < 0 ? undefined : credentials.pid;
  }

  /**
   * A pidfd of the process that connected; -1 when it is gone, or has to be asked for once more; undefined
   * when another process has its pid.
   */
  #peerPidfd({ owner, pid }: JournaledClient, fd: number): number | undefined {
    const { sys } = this.#parts;
    const direct = askPeerPidfd(sys, fd);
    if (direct !== "unknown") return typeof direct === "object" && "pidfd" in direct ? direct.pidfd : -1;
    // The start time of a holder was recorded for this.
    const start = owner !== undefined && isOwnersProcess(owner, pid) ? owner.start : 0;
    const state = start === 0 ? undefined : readProcess(sys, pid);
    if (state === -ESRCH || (typeof state === "object" && state.startTime !== start)) return undefined;
    const opened = pid > 0 ? sys.pidfdOpen(pid) : -1;
    return opened < 0 ? -1 : opened;
  }
}
