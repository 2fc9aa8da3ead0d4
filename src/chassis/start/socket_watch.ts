import {
  EPOLLIN,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
} from "../../os/constants.ts";
import { ENOENT } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { emptyStatus, type Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import type { EventLoop } from "../event/event_loop.ts";
import type { Log } from "../log/log.ts";
import type { Listener } from "../rpc/listener.ts";
import type { RpcServer } from "../rpc/server.ts";
import { listenOn, makeRunDirectory } from "./sockets.ts";
import { StartError } from "./start_error.ts";

/** Whatever gives a name in a directory to something else, and the end of the directory itself. */
const CHANGES = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;
/** inotify(7): the longest event. */
const LONGEST_EVENT = 16 + 256;

type WatchedServer = Pick<RpcServer, "name" | "listeners" | "listenInstead">;

/** What a watch works with. */
export interface SocketWatchParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly log: Log;
  readonly servers: readonly WatchedServer[];
  /** Told after a server listens on another socket than before. */
  readonly replaced: () => void;
}

/** What a path names: device and inode, nothing, or what could not be found out. */
type Named = string | "nothing" | "unknown";

/**
 * Sees to it that the paths of a daemon's listening sockets lead to it. Who deletes such a path, as the
 * service manager does when its socket unit is stopped, would leave a daemon that holds something and that
 * nobody can ask any more.
 */
export class SocketWatch {
  readonly #parts: SocketWatchParts;
  readonly #inotify: number;
  /** What each path has named when it led here. */
  readonly #named = new Map<string, Named>();

  /** Begins to watch, and mends what is amiss already. The servers listen by now. */
  constructor(parts: SocketWatchParts) {
    this.#parts = parts;
    const { sys, loop, ledger } = parts;
    this.#inotify = sys.inotify();
    if (this.#inotify < 0) this.#notWatched(new SystemError("inotify_init1", "sockets", this.#inotify));
    else {
      ledger.own(this.#inotify, "socket watch");
      loop.add(this.#inotify, EPOLLIN, () => this.#changed());
    }
    this.#look();
  }

  #changed(): void {
    const events = new Uint8Array(LONGEST_EVENT * 16);
    // They only say that it is time to look.
    while (this.#parts.sys.read(this.#inotify, events) > 0);
    this.#look();
  }

  #look(): void {
    for (const server of this.#parts.servers) {
      // Several listeners may have one path.
      for (const listener of new Map(server.listeners.map((each) => [each.path, each])).values()) {
        // An abstract address is no path, and an unnamed socket has none.
        if (listener.path.startsWith("/")) this.#lookAt(server, listener);
      }
    }
  }

  #lookAt(server: WatchedServer, listener: Listener): void {
    const { path } = listener;
    // Before the look, so that nothing that happens after it is missed.
    this.#watch(path);
    const named = this.#whatIsAt(path);
    const before = this.#named.get(path);
    // Whether what is there at first leads here cannot be told: it is believed.
    if (named === before || named === "unknown" || (named !== "nothing" && before === undefined)) {
      if (before === undefined) this.#named.set(path, named);
      return;
    }
    this.#listenAnew(server, listener);
    this.#watch(path);
    this.#named.set(path, this.#whatIsAt(path));
  }

  #listenAnew(server: WatchedServer, listener: Listener): void {
    const { path } = listener;
    const { sys, log, replaced } = this.#parts;
    try {
      makeRunDirectory(sys, directoryOf(path), 0o755);
      server.listenInstead(listenOn(sys, listener));
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      return log.error(`Clients no longer reach server ${server.name} at ${path}: ${error.message}`);
    }
    replaced();
    log.warn(`${path} no longer led here, as when its socket unit is restarted: listening there again`);
  }

  #whatIsAt(path: string): Named {
    const status = emptyStatus();
    const found = this.#parts.sys.lstat(path, status);
    if (found === -ENOENT) return "nothing";
    if (found < 0) return "unknown";
    return [status.devMajor, status.devMinor, status.inodeHigh, status.inodeLow].join(":");
  }

  /** A directory that was made anew has to be watched anew; for one that is watched nothing changes. */
  #watch(path: string): void {
    if (this.#inotify < 0) return;
    const directory = directoryOf(path);
    const watched = this.#parts.sys.watchDirectory(this.#inotify, directory, CHANGES);
    if (watched < 0 && watched !== -ENOENT) {
      this.#notWatched(new SystemError("inotify_add_watch", directory, watched));
    }
  }

  #notWatched({ message }: SystemError): void {
    this.#parts.log.warn(
      `Cannot watch the sockets, a path that is deleted stays so until a reload: ${message}`,
    );
  }
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
