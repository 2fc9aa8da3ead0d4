import { F_SETFD, FD_CLOEXEC, SO_PEEK_OFF } from "../../os/constants.ts";
import { EAGAIN } from "../../os/errno.ts";
import type { FileSys, SocketSys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { decodeText } from "../../os/text.ts";
import { namesIn } from "./descriptor_queue.ts";
import { byAge, parseQueueName } from "./queue_names.ts";
import type { ReturnedDescriptor } from "./recovery.ts";

/** What the service manager gave back, with the queues opened. */
export interface ReadQueues {
  /** Everything that was in a queue, and everything that was in none. The caller owns the descriptors. */
  readonly descriptors: readonly ReturnedDescriptor[];
  /** Names of the queues, which the service manager still has. */
  readonly queues: readonly string[];
  /** What could not be read. */
  readonly damage: readonly string[];
}

type ReadSys = Pick<SocketSys, "setSocketOption" | "peekMessage"> & Pick<FileSys, "close" | "fcntl">;

/** Names of a whole queue in one message, a few bytes each, are shorter. */
const LONGEST_MESSAGE = 8192;

/**
 * Reads the descriptors in queues without taking them out: until this life has stored them in its own way,
 * the next one must find them where they are.
 *
 * Of several descriptors of one name the one that was put last counts, the others are closed: a name is used
 * again, and what was dropped before is still in its queue.
 */
export function readQueues(sys: ReadSys, returned: readonly ReturnedDescriptor[]): ReadQueues {
  const plain: ReturnedDescriptor[] = [];
  const ends: (ReturnedDescriptor & { readonly life: number; readonly number: number })[] = [];
  for (const each of returned) {
    const id = parseQueueName(each.name);
    if (id === undefined) plain.push(each);
    else ends.push({ ...each, ...id });
  }
  const found = new Map<string, number>();
  const damage: string[] = [];
  for (const { fd, name } of ends.sort(byAge)) {
    sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
    const trouble = readEnd(sys, fd, (entry, descriptor) => {
      const before = found.get(entry);
      if (before !== undefined) sys.close(before);
      found.set(entry, descriptor);
    });
    if (trouble !== undefined) damage.push(`${name}: ${trouble}`);
    sys.close(fd);
  }
  return {
    descriptors: [...plain, ...[...found].map(([name, fd]) => ({ name, fd }))],
    queues: [...new Set(ends.map(({ name }) => name))],
    damage,
  };
}

/** Reads one end; the one that was sent into has nothing. @returns what is wrong, if anything */
function readEnd(
  sys: ReadSys,
  fd: number,
  found: (name: string, descriptor: number) => void,
): string | undefined {
  const begun = sys.setSocketOption(fd, SO_PEEK_OFF, 0);
  if (begun < 0) return new SystemError("setsockopt", "SO_PEEK_OFF", begun).message;
  const bytes = new Uint8Array(LONGEST_MESSAGE);
  for (;;) {
    const message = sys.peekMessage(fd, bytes);
    if (message === -EAGAIN) return undefined;
    if (typeof message === "number") return new SystemError("recvmsg", "a queue of locks", message).message;
    if (message.length === 0) return undefined;
    const names = namesIn(decodeText(bytes, 0, message.length));
    message.descriptors.forEach((descriptor, index) => {
      const name = names[index];
      if (name === undefined) sys.close(descriptor);
      else found(name, descriptor);
    });
    if (names.length !== message.descriptors.length) {
      return `${names.length} descriptors were put there, ${message.descriptors.length} came out`;
    }
  }
}
