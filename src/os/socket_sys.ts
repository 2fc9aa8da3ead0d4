import {
  MSG_CMSG_CLOEXEC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_PEEK,
  O_CLOEXEC,
  O_NONBLOCK,
  SHUT_RDWR,
  SO_PEERCRED,
  SO_PEERPIDFD,
  SO_PEERSEC,
  SOL_SOCKET,
} from "./constants.ts";
import { addressOf } from "./c_string.ts";
import { EINTR, ENAMETOOLONG } from "./errno.ts";
import type { Libc } from "./libc.ts";
import { setPointerField } from "./native.ts";
import type { ReceivedMessage, SocketSys } from "./sys.ts";
import { decodeText, encodeText } from "./text.ts";

const AF_UNIX = 1;
const SUN_PATH = 108;
const SCM_RIGHTS = 1;
/** The kernel takes at most 253 descriptors in one message (SCM_MAX_FD). */
const MAX_DESCRIPTORS = 253;
const CMSG_HEADER = 16;
/** Bytes; what the daemon sends to the service manager is shorter. */
const SHORT_MESSAGE = 512;

/** sockaddr_un for a path (a leading `@`: abstract), or undefined when it does not fit. */
function unixAddress(path: string): { bytes: Uint8Array<ArrayBuffer>; length: number } | undefined {
  const encoded = encodeText(path);
  const abstract = path.startsWith("@");
  if (encoded.length > SUN_PATH - (abstract ? 0 : 1)) return undefined;
  const bytes = new Uint8Array(2 + SUN_PATH);
  bytes[0] = AF_UNIX;
  bytes.set(encoded, 2);
  if (abstract) bytes[2] = 0;
  return { bytes, length: 2 + encoded.length + (abstract ? 0 : 1) };
}

/** One msghdr with one iovec and room for descriptors, in memory that is never moved. */
class MessageBuffer {
  readonly header = new Uint8Array(56);
  readonly control = new Uint8Array(CMSG_HEADER + MAX_DESCRIPTORS * 4 + 8);
  readonly controlView = new DataView(this.control.buffer);
  readonly #view = new DataView(this.header.buffer);
  readonly #vector = new Uint8Array(16);
  readonly #vectorView = new DataView(this.#vector.buffer);
  readonly #controlAddress = Number(addressOf(this.control));
  readonly #short = new Uint8Array(SHORT_MESSAGE);
  readonly #shortAddress = Number(addressOf(this.#short));
  readonly #scratch = Deno.UnsafePointer.of(this.#short);

  /** Where a byte may be put that nobody looks at. */
  get scratch(): Deno.PointerValue {
    return this.#scratch;
  }

  constructor() {
    this.#view.setBigUint64(16, addressOf(this.#vector), true);
    this.#view.setBigUint64(24, 1n, true);
  }

  /** For receiving into `data`, or sending it. */
  prepare(data: Uint8Array, controlLength: number): void {
    this.#prepare(data.length === 0 ? 0 : Number(addressOf(data)), data.length, controlLength);
  }

  /**
   * For sending `data`. Asking for an address costs as much as the call, so short data is copied to where it
   * is known.
   */
  prepareToSend(data: Uint8Array, controlLength: number): void {
    if (data.length > SHORT_MESSAGE) return this.prepare(data, controlLength);
    this.#short.set(data);
    this.#prepare(this.#shortAddress, data.length, controlLength);
  }

  #prepare(address: number, length: number, controlLength: number): void {
    setPointerField(this.#vectorView, 0, address);
    setPointerField(this.#vectorView, 8, length);
    setPointerField(this.#view, 32, controlLength === 0 ? 0 : this.#controlAddress);
    setPointerField(this.#view, 40, controlLength);
    this.#view.setUint32(48, 0, true);
  }

  /** The descriptors that came with a received message. */
  descriptors(): number[] {
    const length = this.#view.getUint32(40, true);
    const found: number[] = [];
    let at = 0;
    while (at + CMSG_HEADER <= length) {
      const size = this.controlView.getUint32(at, true);
      if (size < CMSG_HEADER) break;
      if (this.controlView.getInt32(at + 12, true) === SCM_RIGHTS) {
        for (let p = at + CMSG_HEADER; p + 4 <= at + size; p += 4) {
          found.push(this.controlView.getInt32(p, true));
        }
      }
      at += (size + 7) & ~7;
    }
    return found;
  }
}

/** Builds the socket part of the kernel surface. */
export function socketSys({ c, rare, errno }: Libc): SocketSys {
  const credentials = new Int32Array(3);
  const credentialsBytes = new Uint8Array(credentials.buffer);
  const length = new Uint32Array(1);
  const lengthBytes = new Uint8Array(length.buffer);
  const integer = new Int32Array(1);
  const integerBytes = new Uint8Array(integer.buffer);
  const context = new Uint8Array(4096);
  const message = new MessageBuffer();

  function plain(result: number, error: number): number {
    return result < 0 ? -error : result;
  }

  function withAddress(
    path: string,
    call: (bytes: Uint8Array<ArrayBuffer>, length: number) => number,
  ): number {
    const address = unixAddress(path);
    if (address === undefined) return -ENAMETOOLONG;
    for (;;) {
      const result = call(address.bytes, address.length);
      const error = errno[0] as number;
      if (result >= 0) return result;
      if (error !== EINTR) return -error;
    }
  }

  function receive(fd: number, into: Uint8Array, flags: number): ReceivedMessage | number {
    for (;;) {
      message.prepare(into, message.control.length);
      const result = rare.recvmsg(fd, message.header, MSG_CMSG_CLOEXEC | flags);
      const error = errno[0] as number;
      if (result >= 0) return { length: result, descriptors: message.descriptors() };
      if (error !== EINTR) return -error;
    }
  }

  return {
    socket(type, nonblocking) {
      const result = rare.socket(AF_UNIX, type | O_CLOEXEC | (nonblocking ? O_NONBLOCK : 0), 0);
      return plain(result, errno[0] as number);
    },
    socketPair(type) {
      const pair = new Int32Array(2);
      const result = c.socketpair(AF_UNIX, type | O_CLOEXEC, 0, new Uint8Array(pair.buffer));
      const error = errno[0] as number;
      return result < 0 ? -error : [pair[0] as number, pair[1] as number];
    },
    bind: (fd, path) => withAddress(path, (bytes, size) => rare.bind(fd, bytes, size)),
    connect: (fd, path) => withAddress(path, (bytes, size) => rare.connect(fd, bytes, size)),
    listen(fd, backlog) {
      const result = rare.listen(fd, backlog);
      return plain(result, errno[0] as number);
    },
    accept(fd) {
      const result = c.accept4(fd, null, null, O_CLOEXEC | O_NONBLOCK);
      return plain(result, errno[0] as number);
    },
    socketPath(fd) {
      const address = new Uint8Array(2 + SUN_PATH + 1);
      length[0] = address.length;
      const result = rare.getsockname(fd, address, lengthBytes);
      const error = errno[0] as number;
      if (result < 0) return -error;
      const end = Math.min(length[0] as number, address.length);
      if (end <= 2) return "";
      if (address[2] === 0) return "@" + decodeText(address, 3, end);
      const nul = address.indexOf(0, 2);
      return decodeText(address, 2, nul < 0 ? end : Math.min(nul, end));
    },
    peerCredentials(fd, into) {
      length[0] = 12;
      const result = c.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentialsBytes, lengthBytes);
      const error = errno[0] as number;
      if (result < 0) return -error;
      into.pid = credentials[0] as number;
      into.uid = (credentials[1] as number) >>> 0;
      into.gid = (credentials[2] as number) >>> 0;
      return 0;
    },
    peerPidfd(fd) {
      length[0] = 4;
      const result = c.getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, integerBytes, lengthBytes);
      const error = errno[0] as number;
      return result < 0 ? -error : integer[0] as number;
    },
    peerSecurity(fd) {
      length[0] = context.length;
      const result = c.getsockopt(fd, SOL_SOCKET, SO_PEERSEC, context, lengthBytes);
      const error = errno[0] as number;
      if (result < 0) return -error;
      const size = length[0] as number;
      return decodeText(context, 0, context[size - 1] === 0 ? size - 1 : size);
    },
    socketOption(fd, option) {
      length[0] = 4;
      const result = c.getsockopt(fd, SOL_SOCKET, option, integerBytes, lengthBytes);
      const error = errno[0] as number;
      return result < 0 ? -error : integer[0] as number;
    },
    setSocketOption(fd, option, value) {
      integer[0] = value;
      const result = rare.setsockopt(fd, SOL_SOCKET, option, integerBytes, 4);
      return plain(result, errno[0] as number);
    },
    shutdown(fd) {
      const result = c.shutdown(fd, SHUT_RDWR);
      return plain(result, errno[0] as number);
    },
    send(fd, bytes) {
      const result = rare.send(
        fd,
        bytes as Uint8Array<ArrayBuffer>,
        bytes.length,
        MSG_NOSIGNAL | MSG_DONTWAIT,
      );
      return plain(result, errno[0] as number);
    },
    sendMessage(fd, bytes, descriptors) {
      const count = Math.min(descriptors.length, MAX_DESCRIPTORS);
      const used = CMSG_HEADER + count * 4;
      message.prepareToSend(bytes, count === 0 ? 0 : (used + 7) & ~7);
      setPointerField(message.controlView, 0, used);
      message.controlView.setInt32(8, SOL_SOCKET, true);
      message.controlView.setInt32(12, SCM_RIGHTS, true);
      for (let index = 0; index < count; index++) {
        message.controlView.setInt32(CMSG_HEADER + index * 4, descriptors[index] as number, true);
      }
      const result = c.sendmsg(fd, message.header, MSG_NOSIGNAL | MSG_DONTWAIT);
      return plain(result, errno[0] as number);
    },
    receiveMessage: (fd, into, wait) => receive(fd, into, wait ? 0 : MSG_DONTWAIT),
    peekMessage: (fd, into) => receive(fd, into, MSG_PEEK | MSG_DONTWAIT),
    receiveInto(fd, memory, length) {
      const result = c.recv(fd, memory, length, MSG_DONTWAIT);
      return plain(result, errno[0] as number);
    },
    peek(fd) {
      const result = c.recv(fd, message.scratch, 1, MSG_PEEK | MSG_DONTWAIT);
      return plain(result, errno[0] as number);
    },
    sendFrom(fd, memory, length) {
      const result = c.sendNative(fd, memory, length, MSG_NOSIGNAL | MSG_DONTWAIT);
      return plain(result, errno[0] as number);
    },
    receivePrepared(fd, header) {
      const result = c.recvmmsg(fd, header, 1, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, null);
      return plain(result, errno[0] as number);
    },
    sendPrepared(fd, header) {
      const result = c.sendmmsg(fd, header, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
      return plain(result, errno[0] as number);
    },
  };
}
