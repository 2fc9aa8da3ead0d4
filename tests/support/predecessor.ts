import { F_SETFD, F_WRLCK, O_CREAT, O_RDWR, SOCK_STREAM } from "../../src/os/constants.ts";
import type { JsonObjectValue } from "../../src/lockd/restart/state.ts";
import type { OwnerArgs } from "../../src/lockd/wire/lock_protocol.ts";
import { Daemon } from "./daemon.ts";
import type { Place } from "./place.ts";
import { Puppet } from "./puppet.ts";
import { testProgram } from "./programs.ts";

const MAIN = testProgram(new URL("./virtlockd_main.ts", import.meta.url));

/** A resource that libvirt's daemon writes. */
export interface WrittenResource {
  readonly name: string;
  readonly path: string;
  readonly fd: number;
  readonly lockHeld: boolean;
  readonly flags: number;
  readonly owners: readonly number[];
}

/**
 * A process that stands for libvirt's own daemon: it has real sockets, clients and locks, and replaces itself
 * by the program, in the same process, with a restart document. Disposing of it kills whatever it has become.
 */
export class Predecessor implements AsyncDisposable {
  readonly place: Place;
  readonly #puppet: Puppet;
  readonly #listener: number;
  readonly #adminListener: number;

  private constructor(puppet: Puppet, listener: number, adminListener: number) {
    this.place = puppet.place;
    this.#puppet = puppet;
    this.#listener = listener;
    this.#adminListener = adminListener;
  }

  /**
   * Starts one that listens on both sockets of a place. What it does not hand over, it leaves behind closed.
   */
  static async start(place: Place): Promise<Predecessor> {
    const puppet = Puppet.start(place);
    Deno.mkdirSync(`${place.directory}/run/libvirt`, { mode: 0o700, recursive: true });
    const listen = async (path: string) => {
      const fd = await puppet.call("socket", SOCK_STREAM, false);
      await puppet.call("bind", fd, path);
      await puppet.call("listen", fd, 100);
      return fd;
    };
    return new Predecessor(puppet, await listen(place.paths.socket), await listen(place.paths.adminSocket));
  }

  get pid(): number {
    return this.#puppet.pid;
  }

  /** Accepts a client that has connected to the lock socket. @returns its descriptor */
  async accept(): Promise<number> {
    const fd = await this.#puppet.call("accept", this.#listener);
    await this.#puppet.call("fcntl", fd, F_SETFD, 0);
    return fd;
  }

  /**
   * Opens a file, which is made if need be, and locks it as libvirt's daemon does.
   *
   * @param kind "ofd" for a lock that it was itself handed; "none" for one that it has lost
   */
  async lock(
    path: string,
    kind: "posix" | "ofd" | "none" = "posix",
    type = F_WRLCK,
    flags = 0,
  ): Promise<Omit<WrittenResource, "owners">> {
    const fd = await this.#puppet.call("open", path, O_RDWR | O_CREAT, 0o600);
    if (kind !== "none") await this.#puppet.call(kind === "posix" ? "posixLock" : "ofdLock", fd, type, 0, 1);
    return { name: path, path, fd, lockHeld: true, flags };
  }

  /** The lock server as the newest daemon writes it. */
  lockServer(clients: readonly JsonObjectValue[] = []): JsonObjectValue {
    return { ...server(this.#listener, clients), next_client_id: clients.length + 1 };
  }

  /** The admin server. */
  adminServer(): JsonObjectValue {
    return { ...server(this.#adminListener, []), next_client_id: 1 };
  }

  /**
   * Writes a document and becomes the program. It may not be serving yet: who connects waits.
   *
   * @param document without `magic`, which is added; or the text of a whole one
   * @param env added to the place's environment
   */
  async handOver(
    document: JsonObjectValue | string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Daemon> {
    const { place, pid } = this;
    const text = typeof document === "string"
      ? document
      : JSON.stringify({ ...document, magic: String(pid) });
    Deno.writeTextFileSync(place.paths.restartState, text, { mode: 0o600 });
    for (const fd of [this.#listener, this.#adminListener]) {
      if (text.includes(`"fd":${fd},`)) await this.#puppet.call("fcntl", fd, F_SETFD, 0);
    }
    const argv = [Deno.execPath(), "run", "-A", MAIN, "-v"];
    await this.#puppet.execute(
      Deno.execPath(),
      argv,
      Object.entries({ ...place.env, ...env }).map((pair) => pair.join("=")),
    );
    return Daemon.of(place, this.#puppet.process);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#puppet[Symbol.asyncDispose]();
  }
}

/** A client as libvirt's newest daemon writes it. */
export function writtenClient(id: number, fd: number, owner: OwnerArgs, restricted = false): JsonObjectValue {
  return {
    id,
    auth: 0,
    auth_pending: false,
    readonly: false,
    nrequests_max: 1,
    conn_time: 1_795_230_578,
    sock: { fd, errfd: -1, pid: 0, isClient: true, unlinkUNIX: false },
    privateData: {
      restricted,
      ownerPid: owner.pid,
      ownerId: owner.id,
      ownerName: owner.name,
      ownerUUID: owner.uuid,
    },
  };
}

function server(listener: number, clients: readonly JsonObjectValue[]): JsonObjectValue {
  return {
    min_workers: 0,
    max_workers: 0,
    priority_workers: 0,
    max_clients: 1024,
    max_anonymous_clients: 1024,
    keepaliveInterval: 4294967295,
    keepaliveCount: 0,
    services: [{
      auth: 0,
      readonly: false,
      nrequests_client_max: 1,
      socks: [{ fd: listener, errfd: -1, pid: 0, isClient: false, unlinkUNIX: true }],
    }],
    clients,
  };
}
