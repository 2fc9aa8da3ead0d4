import { EPOLLIN, SOCK_SEQPACKET } from "../../os/constants.ts";
import { SystemError } from "../../os/system_error.ts";
import type { ProcessSys } from "../../os/sys.ts";
import { HelperLink, type LinkParts, type LinkUser } from "./helper_link.ts";
import { encodeMessage, type HelperCommand } from "./helper_protocol.ts";
import { spawnHelper, type SpawnSys } from "./helper_spawn.ts";

const REAP_AGAIN_MS = 1000;

/** What a {@link HelperStarter} needs of the daemon. */
export interface StarterParts extends LinkParts {
  readonly sys: LinkParts["sys"] & SpawnSys & Pick<ProcessSys, "pidfdOpen" | "waitChild">;
}

/**
 * Starts helper processes, through one of them that does nothing else: the spawner.
 *
 * A child of the daemon has copies of its descriptors until it execs, and closing such a copy of a file on
 * FUSE waits for that filesystem: with one mount hung, no child of the daemon would ever start for another.
 * The spawner is made before the first lock on such storage, and never has one. It is itself started by a
 * helper that ends at once, so that the daemon's process, which may run another image by then, is never left
 * with a dead child.
 */
export class HelperStarter {
  readonly #parts: StarterParts;
  readonly #command: HelperCommand;
  #spawner: HelperLink | undefined;
  #pinned = false;

  /**
   * @param inherited the spawner's socket from an earlier image of the daemon ({@link handover}), owned from
   * now on
   */
  constructor(parts: StarterParts, command: HelperCommand, inherited: number | undefined) {
    this.#parts = parts;
    this.#command = command;
    if (inherited === undefined) return;
    this.#spawner = new HelperLink(parts, inherited, this.#spawnerUser());
    this.#pinned = true;
  }

  /** The spawner's socket, when the next image of the daemon needs it. It stays this object's. */
  get handover(): number | undefined {
    return this.#pinned ? this.#spawner?.fd : undefined;
  }

  /**
   * Starts a helper. A failure that comes later is told at the other end of its socket.
   *
   * @param far the helper's end of a socket pair; stays the caller's
   * @param command what is started; a helper of the daemon's user when it is not given
   * @throws SystemError when the spawner cannot be started
   */
  start(far: number, command = this.#command): void {
    if (this.#spawner === undefined) this.#spawner = this.#startSpawner(far, command);
    else this.#spawner.send({ kind: "spawn", command }, [far]);
  }

  /** From now on the daemon has locks on storage that may hang: the spawner could not be made anew. */
  pin(): void {
    this.#pinned = true;
  }

  /** No helper is left: the spawner goes too, unless it is pinned. */
  rest(): void {
    if (!this.#pinned) this.close();
  }

  /** Lets the spawner end. */
  close(): void {
    this.#spawner?.close();
    this.#spawner = undefined;
  }

  #spawnerUser(): LinkUser {
    return { received: () => {}, ended: () => void (this.#spawner = undefined) };
  }

  /** @param helper socket of a helper that is started at the same time: it need not wait for the spawner */
  #startSpawner(helper: number, command: HelperCommand): HelperLink {
    const { sys } = this.#parts;
    const first = sys.socketPair(SOCK_SEQPACKET);
    if (typeof first === "number") throw new SystemError("socketpair", "storage helper", first);
    const [near, far] = first;
    try {
      const pair = HelperLink.pair(this.#parts, this.#spawnerUser());
      // What is sent waits in the socket for the process to come, and reaches it even when this end is closed
      // by then.
      const spawner = encodeMessage({ kind: "spawn", command: this.#command });
      const spawn = encodeMessage({ kind: "spawn", command });
      const sent = Math.min(
        sys.sendMessage(near, spawner, [pair.far]),
        sys.sendMessage(near, spawn, [helper]),
      );
      sys.close(pair.far);
      const started = sent < 0
        ? new SystemError("Send to", "storage helper", sent)
        : spawnHelper(sys, this.#command, far);
      if (typeof started === "number") {
        this.#reap(started);
        return pair.link;
      }
      pair.link.close();
      throw started;
    } finally {
      sys.close(near);
      sys.close(far);
    }
  }

  /** Waits for the first helper's end, which must not stay a zombie. */
  #reap(pid: number): void {
    const { sys, loop, ledger } = this.#parts;
    const status = new Int32Array(1);
    const pidfd = sys.pidfdOpen(pid);
    if (pidfd < 0) {
      // Out of descriptors. It ends within milliseconds.
      loop.after(REAP_AGAIN_MS, () => void sys.waitChild(pid, false, status));
      return;
    }
    ledger.own(pidfd, "storage");
    const ended = () => {
      loop.remove(pidfd);
      ledger.close(pidfd);
      sys.waitChild(pid, false, status);
    };
    try {
      loop.add(pidfd, EPOLLIN, ended);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      loop.after(REAP_AGAIN_MS, ended);
    }
  }
}
