// The one surface through which the daemon reaches the kernel. Every method returns a value >= 0, or -errno;
// none throws for a failed call. Tests pass an object of the same shape that fails, delays or kills at a
// chosen call.

/**
 * What statx(2) tells of a file, as far as this daemon asks. Filled by {@link FileSys.stat}; owned by the
 * caller.
 */
export interface FileStatus {
  devMajor: number;
  devMinor: number;
  /** Low 32 bits of the inode number. */
  inodeLow: number;
  /** High 32 bits of the inode number. */
  inodeHigh: number;
  /** Type and permission bits (st_mode). */
  mode: number;
  uid: number;
  gid: number;
  links: number;
  /** Bytes. */
  size: number;
  /** Of a block or character device, which device it stands for; else 0. */
  rdevMajor: number;
  rdevMinor: number;
}

/** A fresh, zeroed {@link FileStatus}. */
export function emptyStatus(): FileStatus {
  return {
    devMajor: 0,
    devMinor: 0,
    inodeLow: 0,
    inodeHigh: 0,
    mode: 0,
    uid: 0,
    gid: 0,
    links: 0,
    size: 0,
    rdevMajor: 0,
    rdevMinor: 0,
  };
}

/** A POSIX byte-range lock as F_GETLK or F_OFD_GETLK reports it. */
export interface LockProbe {
  /** F_RDLCK, F_WRLCK, or F_UNLCK when nothing conflicts. */
  type: number;
  /** Holder's pid; -1 for an open-file-description lock, 0 when it lives in another pid namespace or host. */
  pid: number;
}

/**
 * Files and locks. Paths are strings of src/os/text.ts: bytes that are not UTF-8 appear as lone
 * surrogates.
 */
export interface FileSys {
  open(path: string, flags: number, mode: number): number;
  close(fd: number): number;
  read(fd: number, into: Uint8Array): number;
  pread(fd: number, into: Uint8Array, position: number): number;
  write(fd: number, bytes: Uint8Array): number;
  pwrite(fd: number, bytes: Uint8Array, position: number): number;
  ftruncate(fd: number, size: number): number;
  fsync(fd: number): number;
  fchmod(fd: number, mode: number): number;
  stat(path: string, into: FileStatus): number;
  lstat(path: string, into: FileStatus): number;
  fstat(fd: number, into: FileStatus): number;
  unlink(path: string): number;
  rename(from: string, to: string): number;
  /** Does not follow a symbolic link. -1 leaves user or group as it is. */
  lchown(path: string, uid: number, gid: number): number;
  mkdir(path: string, mode: number): number;
  chdir(path: string): number;
  /** access(2): 4 read, 2 write, 1 execute, 0 exists. */
  access(path: string, mode: number): number;
  /** Target of a symbolic link, or -errno. */
  readlink(path: string): string | number;
  /** Names in a directory without `.` and `..`, or -errno. */
  listDirectory(path: string): string[] | number;
  /** F_OFD_SETLK on byte `start`, `length` bytes. `type` is F_RDLCK, F_WRLCK or F_UNLCK. */
  ofdLock(fd: number, type: number, start: number, length: number): number;
  /** F_OFD_GETLK: which lock would stop one of `type`. */
  ofdProbe(fd: number, type: number, start: number, length: number, into: LockProbe): number;
  /** F_SETLK: a POSIX lock, of the process. */
  posixLock(fd: number, type: number, start: number, length: number): number;
  /**
   * F_SETLEASE: F_WRLCK is granted only while nobody else has the file open, F_UNLCK gives it back. A lease
   * that stays makes the next opener wait, and its holder is sent SIGIO.
   */
  lease(fd: number, type: number): number;
  /** F_GETFD .. F_SETFL and F_DUPFD_CLOEXEC. */
  fcntl(fd: number, command: number, value: number): number;
  umask(mask: number): number;
}

/** SO_PEERCRED of a connected Unix socket. */
export interface PeerCredentials {
  pid: number;
  uid: number;
  gid: number;
}

/** Message received with {@link SocketSys.receiveMessage}. */
export interface ReceivedMessage {
  /** Bytes received, 0 at end of stream. */
  length: number;
  /** Descriptors that came along (close-on-exec set); the caller owns them. */
  descriptors: number[];
}

/** Unix sockets. */
export interface SocketSys {
  /** socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK?, 0). */
  socket(type: number, nonblocking: boolean): number;
  socketPair(type: number): [number, number] | number;
  /** bind(2) to a path; a leading `@` means an abstract address. */
  bind(fd: number, path: string): number;
  connect(fd: number, path: string): number;
  listen(fd: number, backlog: number): number;
  /** accept4(2) with SOCK_CLOEXEC | SOCK_NONBLOCK. */
  accept(fd: number): number;
  /** Path a Unix socket is bound to, "" when unnamed, or -errno. */
  socketPath(fd: number): string | number;
  peerCredentials(fd: number, into: PeerCredentials): number;
  /**
   * SO_PEERPIDFD (Linux 6.5): a pidfd of the peer that can never name another process. The caller owns it.
   */
  peerPidfd(fd: number): number;
  /** SO_PEERSEC: the peer's security context, or -errno (ENOPROTOOPT without an LSM). */
  peerSecurity(fd: number): string | number;
  socketOption(fd: number, option: number): number;
  setSocketOption(fd: number, option: number, value: number): number;
  shutdown(fd: number): number;
  /** send(2) with MSG_NOSIGNAL | MSG_DONTWAIT. */
  send(fd: number, bytes: Uint8Array): number;
  /** sendmsg(2) with descriptors (SCM_RIGHTS), MSG_NOSIGNAL | MSG_DONTWAIT. */
  sendMessage(fd: number, bytes: Uint8Array, descriptors: readonly number[]): number;
  /** recvmsg(2), MSG_DONTWAIT when `wait` is false; descriptors come back close-on-exec. */
  receiveMessage(fd: number, into: Uint8Array, wait: boolean): ReceivedMessage | number;
  /**
   * recvmsg(2) with MSG_PEEK and MSG_DONTWAIT: the message stays in the queue, its descriptors are copies.
   * With SO_PEEK_OFF each call sees the next message.
   */
  peekMessage(fd: number, into: Uint8Array): ReceivedMessage | number;
  /** recv(2) of at most `length` bytes into native memory, MSG_DONTWAIT. */
  receiveInto(fd: number, memory: Deno.PointerValue, length: number): number;
  /**
   * Whether anything is to be read, which stays there (recv(2) with MSG_PEEK | MSG_DONTWAIT): 1 when it is, 0
   * when the other end has left and nothing is, -EAGAIN when it may still come.
   */
  peek(fd: number): number;
  /** send(2) of `length` bytes of native memory, MSG_NOSIGNAL | MSG_DONTWAIT. */
  sendFrom(fd: number, memory: Deno.PointerValue, length: number): number;
  /**
   * recvmmsg(2) of one message through a header prepared in native memory: the kernel itself writes the
   * number of bytes into that memory, so that a shared mapping knows what was received even if this process
   * dies in the call.
   */
  receivePrepared(fd: number, header: Deno.PointerValue): number;
  /** sendmmsg(2), as {@link receivePrepared}. */
  sendPrepared(fd: number, header: Deno.PointerValue): number;
}

/** Events, timers, signals as descriptors. All are made close-on-exec and non-blocking. */
export interface EventSys {
  epollCreate(): number;
  /** op: 1 add, 2 delete, 3 modify. */
  epollControl(epoll: number, op: number, fd: number, events: number): number;
  /** Waits at most `timeout` ms (-1: no limit). Fills `fds` and `events` from index 0, returns how many. */
  epollWait(epoll: number, fds: Int32Array, events: Uint32Array, timeout: number): number;
  signalfd(signals: readonly number[]): number;
  /** One pending signal from a signalfd, or -EAGAIN. */
  readSignal(fd: number, into: SignalInfo): number;
  timerCreate(): number;
  /** Arms a timerfd to expire once after `milliseconds`; 0 disarms. */
  timerSet(fd: number, milliseconds: number): number;
  eventfd(): number;
  /** inotify_init1(2): readable when something has happened that {@link watchDirectory} asks for. */
  inotify(): number;
  /** inotify_add_watch(2) on a directory. Watching it again changes the events. `events` are IN_*. */
  watchDirectory(inotify: number, path: string, events: number): number;
  pipe(): [number, number] | number;
  /** poll(2) of one descriptor for POLLIN: 1 readable, 0 not within `timeout` ms. */
  pollReadable(fd: number, timeout: number): number;
  /** sched_yield(2): lets others run that wait for this CPU. Always succeeds. */
  yieldCpu(): void;
  /** CLOCK_MONOTONIC in milliseconds, with fractions. */
  monotonic(): number;
}

/** Who sent a signal. */
export interface SignalInfo {
  signal: number;
  pid: number;
  uid: number;
}

/** How to start a child with {@link ProcessSys.spawn}. */
export interface SpawnOptions {
  path: string;
  argv: readonly string[];
  env: readonly string[];
  /**
   * Descriptors of the child: element i becomes descriptor i. All others that are close-on-exec are closed.
   */
  descriptors: readonly number[];
  /** Signals blocked in the child. */
  blockedSignals: readonly number[];
  /** Start a session of its own (setsid). */
  newSession: boolean;
}

/** Processes. */
export interface ProcessSys {
  pid(): number;
  uid(): number;
  gid(): number;
  /**
   * Makes all threads of this process that user's, for good: all its user and group ids, and the groups that
   * the host has for the user. Takes CAP_SETUID and CAP_SETGID.
   */
  becomeUser(uid: number, gid: number): number;
  kill(pid: number, signal: number): number;
  pidfdOpen(pid: number): number;
  pidfdSignal(pidfd: number, signal: number): number;
  /** Blocks the signals in the calling thread; threads made later inherit it. */
  blockSignals(signals: readonly number[]): number;
  unblockSignals(signals: readonly number[]): number;
  /** Whether all of them are blocked in the calling thread: 1 or 0. */
  signalsBlocked(signals: readonly number[]): number;
  /** Sets disposition SIG_IGN. */
  ignoreSignals(signals: readonly number[]): number;
  /** Replaces this process. Returns only on failure. */
  execve(path: string, argv: readonly string[], env: readonly string[]): number;
  /** posix_spawn(3). The child gets default dispositions. Returns its pid. */
  spawn(options: SpawnOptions): number;
  /** waitpid(2) with WNOHANG unless `wait`: 0 when still running, else pid; status in `into[0]`. */
  waitChild(pid: number, wait: boolean, into: Int32Array): number;
  setThreadName(name: string): number;
  /** [soft, hard] of RLIMIT_NOFILE. */
  fileLimit(): [number, number] | number;
  setFileLimit(soft: number, hard: number): number;
  userName(uid: number): string;
  groupName(gid: number): string;
  /** Id of a group by its name or its number, or -ENOENT. */
  groupId(name: string): number;
}

/** Shared memory. */
export interface MemorySys {
  memfd(name: string): number;
  /**
   * Maps `length` bytes of fd MAP_SHARED read-write (fd -1: anonymous). The mapping lives as long as the
   * process.
   */
  map(fd: number, length: number): Mapping | number;
  /** Gives what this process has freed, and what lies in whole pages, back to the kernel: malloc_trim(3). */
  trimHeap(): void;
}

/** Memory mapped by {@link MemorySys.map}. */
export interface Mapping {
  bytes: Uint8Array;
  /** Address of the first byte. */
  address: number;
  /** A pointer to byte `offset`. */
  pointer(offset: number): Deno.PointerValue;
}

/** The whole surface. */
export interface Sys extends FileSys, SocketSys, EventSys, ProcessSys, MemorySys {}
