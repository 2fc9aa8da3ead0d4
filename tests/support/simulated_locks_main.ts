// The program with a kernel in which the lock files `n0`, `n1`, ... cost no descriptor: opening one gives a
// number made from its name, and all that is asked of such a number succeeds. Sent over a socket, the number
// travels as text. So more locks can be held, stored and found again than a process may have descriptors, or
// a user on their way between sockets.
import { main } from "../../src/lockd/cli/main.ts";
import { linuxSys } from "../../src/os/linux.ts";
import type { FileStatus, ReceivedMessage, Sys } from "../../src/os/sys.ts";
import { decodeText, encodeText } from "../../src/os/text.ts";

/** Simulated descriptors begin here, above all real ones. */
const FIRST = 2000;
const NAME = /\/n(\d+)$/;
/** Between the text of a message and the simulated numbers, and at the end of the message. */
const MARK = "|";
const END = "\n";

const real = linuxSys();
/** Text that was read from an end of a queue, and belongs to messages that nobody asked for yet. */
const ahead = new Map<number, string>();

function numberOf(path: string): number | undefined {
  const found = NAME.exec(path);
  return found === null ? undefined : FIRST + Number(found[1]);
}

function fill(into: FileStatus, fd: number): number {
  into.devMajor = 0;
  into.devMinor = 1;
  into.inodeLow = fd;
  into.inodeHigh = 0;
  into.links = 1;
  return 0;
}

function send(fd: number, bytes: Uint8Array, descriptors: readonly number[]): number {
  if (!descriptors.some((each) => each >= FIRST)) return real.sendMessage(fd, bytes, descriptors);
  const text = `${decodeText(bytes, 0, bytes.length)}${MARK}${descriptors.join(",")}${END}`;
  return real.sendMessage(fd, encodeText(text), []);
}

/** One message of a queue; without descriptors the kernel hands over several at once. */
function peek(fd: number, into: Uint8Array): ReceivedMessage | number {
  let text = ahead.get(fd) ?? "";
  while (!text.includes(END)) {
    const message = real.peekMessage(fd, into);
    if (typeof message === "number" || message.length === 0) {
      ahead.delete(fd);
      return message;
    }
    text += decodeText(into, 0, message.length);
  }
  const end = text.indexOf(END);
  ahead.set(fd, text.slice(end + END.length));
  const [names = "", numbers = ""] = text.slice(0, end).split(MARK);
  into.set(encodeText(names));
  return { length: encodeText(names).length, descriptors: numbers.split(",").map(Number) };
}

const simulated: Sys = {
  ...real,
  open: (path, flags, mode) => numberOf(path) ?? real.open(path, flags, mode),
  close: (fd) => fd >= FIRST ? 0 : real.close(fd),
  unlink: (path) => numberOf(path) === undefined ? real.unlink(path) : 0,
  fcntl: (fd, command, value) => fd >= FIRST ? 0 : real.fcntl(fd, command, value),
  fstat: (fd, into) => fd >= FIRST ? fill(into, fd) : real.fstat(fd, into),
  stat(path, into) {
    const fd = numberOf(path);
    return fd === undefined ? real.stat(path, into) : fill(into, fd);
  },
  ofdLock: (fd, type, start, length) => fd >= FIRST ? 0 : real.ofdLock(fd, type, start, length),
  sendMessage: send,
  peekMessage: peek,
};

await main(simulated);
