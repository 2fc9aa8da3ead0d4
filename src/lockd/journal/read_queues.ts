import { F_SETFD, FD_CLOEXEC, SO_PEEK_OFF } from "../../os/constants.ts";
import { EAGAIN } from "../../os/errno.ts";
import type { FileSys, SocketSys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { decodeText } from "../../os/text.ts";
import { type AdoptedQueue, namesIn } from "../store/descriptor_queue.ts";
import { byAge, parseQueueName } from "../store/queue_names.ts";
import type { ReturnedDescriptor } from "./recovered.ts";

/** What the service manager gave back, with the queues opened. */
export interface ReadQueues {
  /** Everything that was in a queue, and everything that was in none. The caller owns the descriptors. */
  readonly descriptors: readonly ReturnedDescriptor[];
  /** The queues that could be read to their ends. The service manager still has them. */
  readonly queues: readonly AdoptedQueue[];
  /** What could not be read. */
  readonly damage: readonly string[];
}

type ReadSys = Pick<SocketSys, "setSocketOption" | "peekMessage"> & Pick<FileSys, "close" | "fcntl">;

/** Names of a whole queue in one message, a few bytes each, are shorter. */
const LONGEST_MESSAGE = 8192;

/**
 * Reads the descriptors in queues without taking them out: they stay stored where they are, for this life and
 * the next one.
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
  const found = new Map<string, { fd: number; queue: string }>();
  const taken = new Map<string, number>();
  const damage = new Map<string, string>();
  for (const { fd: end, name: queue } of ends.sort(byAge)) {
    sys.fcntl(end, F_SETFD, FD_CLOEXEC);
    const trouble = readEnd(sys, end, (entry, fd) => {
      const before = found.get(entry);
      if (before !== undefined) sys.close(before.fd);
      found.set(entry, { fd, queue });
      taken.set(queue, (taken.get(queue) ?? 0) + 1);
    });
    if (trouble !== undefined) damage.set(queue, trouble);
    sys.close(end);
  }
  const names = new Map<string, string[]>(ends.map(({ name }) => [name, []]));
  for (const [entry, { queue }] of found) names.get(queue)?.push(entry);
  return {
    descriptors: [...plain, ...[...found].map(([name, { fd }]) => ({ name, fd }))],
    queues: [...names].filter(([name]) => !damage.has(name))
      .map(([name, entries]) => ({ name, taken: taken.get(name) ?? 0, names: entries })),
    damage: [...damage].map(([name, trouble]) => `${name}: ${trouble}`),
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
