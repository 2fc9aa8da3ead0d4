import { F_DUPFD_CLOEXEC, RLIMIT_NOFILE } from "./constants.ts";
import { cString, CStringArray } from "./c_string.ts";
import { EINTR, ENOENT } from "./errno.ts";
import type { Libc } from "./libc.ts";
import { inSignalSet, signalSet } from "./signal_set.ts";
import type { ProcessSys, SpawnOptions } from "./sys.ts";

const SYS_PIDFD_SEND_SIGNAL = 424n;
const SYS_PIDFD_OPEN = 434n;
const SIG_BLOCK = 0;
const SIG_UNBLOCK = 1;
const SIG_IGN = 1n;
const PR_SET_NAME = 15;
const WNOHANG = 1;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;
/** posix_spawn objects are opaque; 512 bytes are more than glibc's (336 and 80). */
const OPAQUE_SIZE = 512;
/** Where struct passwd has the user's own group. */
const PASSWD_GID_OFFSET = 20;
/** Room for struct passwd or group, and for the texts that it points to. */
const ENTRY_SIZE = 64;
const ENTRY_TEXT = 16384;
/** Of gr_gid in struct group, behind two pointers. */
const GROUP_ID_OFFSET = 16;
const ALL_SIGNALS = Array.from({ length: 64 }, (_, index) => index + 1);

/** Builds the process part of the kernel surface. */
export function processSys({ c, rare, errno }: Libc): ProcessSys {
  function plain(result: number, error: number): number {
    return result < 0 ? -error : result;
  }

  /**
   * Name of a uid or gid: both structs begin with a pointer to it. The number as text when there is none.
   *
   * @param entry where the struct is put
   */
  function accountName(
    id: number,
    call: (
      entry: Uint8Array<ArrayBuffer>,
      text: Uint8Array<ArrayBuffer>,
      found: Uint8Array<ArrayBuffer>,
    ) => number,
    entry = new Uint8Array(ENTRY_SIZE),
  ): string {
    const text = new Uint8Array(ENTRY_TEXT);
    const found = new BigUint64Array(1);
    const result = call(entry, text, new Uint8Array(found.buffer));
    if (result !== 0 || found[0] === 0n) return String(id);
    const name = Deno.UnsafePointer.create(new DataView(entry.buffer).getBigUint64(0, true));
    return name === null ? String(id) : new Deno.UnsafePointerView(name).getCString();
  }

  return {
    pid: () => rare.getpid(),
    uid: () => rare.getuid(),
    gid: () => rare.getgid(),
    becomeUser,
    kill(pid, signal) {
      const result = rare.kill(pid, signal);
      return plain(result, errno[0] as number);
    },
    pidfdOpen(pid) {
      const result = c.pidfdOpen(SYS_PIDFD_OPEN, pid, 0);
      return plain(result, errno[0] as number);
    },
    pidfdSignal(pidfd, signal) {
      const result = rare.pidfdSignal(SYS_PIDFD_SEND_SIGNAL, pidfd, signal, null, 0);
      return plain(result, errno[0] as number);
    },
    blockSignals: (signals) => -rare.pthread_sigmask(SIG_BLOCK, signalSet(signals), null),
    unblockSignals: (signals) => -rare.pthread_sigmask(SIG_UNBLOCK, signalSet(signals), null),
    signalsBlocked(signals) {
      const current = new Uint8Array(128);
      const error = rare.pthread_sigmask(SIG_BLOCK, null, current);
      if (error !== 0) return -error;
      return signals.every((signal) => inSignalSet(current, signal)) ? 1 : 0;
    },
    ignoreSignals(signals) {
      const action = new Uint8Array(152);
      new DataView(action.buffer).setBigUint64(0, SIG_IGN, true);
      for (const signal of signals) {
        const result = rare.sigaction(signal, action, null);
        const error = errno[0] as number;
        if (result < 0) return -error;
      }
      return 0;
    },
    execve(path, argv, env) {
      const args = new CStringArray(argv);
      const vars = new CStringArray(env);
      const result = rare.execve(
        cString(path) as Uint8Array<ArrayBuffer>,
        args.pointers as BigUint64Array<ArrayBuffer>,
        vars.pointers as BigUint64Array<ArrayBuffer>,
      );
      return plain(result, errno[0] as number);
    },
    spawn: (options) => spawn(options),
    waitChild(pid, wait, into) {
      const status = new Uint8Array(into.buffer, into.byteOffset, 4);
      for (;;) {
        const result = rare.waitpid(pid, status as Uint8Array<ArrayBuffer>, wait ? 0 : WNOHANG);
        const error = errno[0] as number;
        if (result >= 0) return result;
        if (error !== EINTR) return -error;
      }
    },
    setThreadName(name) {
      const result = rare.prctlName(PR_SET_NAME, cString(name) as Uint8Array<ArrayBuffer>);
      return plain(result, errno[0] as number);
    },
    fileLimit() {
      const limit = new BigUint64Array(2);
      const result = rare.getrlimit(RLIMIT_NOFILE, new Uint8Array(limit.buffer));
      const error = errno[0] as number;
      return result < 0 ? -error : [Number(limit[0]), Number(limit[1])];
    },
    setFileLimit(soft, hard) {
      const limit = new BigUint64Array([BigInt(soft), BigInt(hard)]);
      const result = rare.setrlimit(RLIMIT_NOFILE, new Uint8Array(limit.buffer));
      return plain(result, errno[0] as number);
    },
    userName: (uid) => userName(uid),
    groupId(name) {
      if (/^[0-9]+$/.test(name)) return Number(name);
      const entry = new DataView(new ArrayBuffer(ENTRY_SIZE));
      const text = new Uint8Array(ENTRY_TEXT);
      const found = new BigUint64Array(1);
      const result = new Uint8Array(found.buffer);
      rare.getgrnam_r(cString(name), new Uint8Array(entry.buffer), text, BigInt(text.length), result);
      return found[0] === 0n ? -ENOENT : entry.getUint32(GROUP_ID_OFFSET, true);
    },
    groupName: (gid) =>
      accountName(
        gid,
        (entry, text, found) => rare.getgrgid_r(gid, entry, text, BigInt(text.length), found),
      ),
  };

  function userName(uid: number, account?: Uint8Array<ArrayBuffer>): string {
    return accountName(
      uid,
      (entry, text, found) => rare.getpwuid_r(uid, entry, text, BigInt(text.length), found),
      account,
    );
  }

  /** Groups first: the user may not change them any more. */
  function becomeUser(uid: number, gid: number): number {
    const account = new Uint8Array(ENTRY_SIZE);
    const name = userName(uid, account);
    const primary = new DataView(account.buffer).getUint32(PASSWD_GID_OFFSET, true);
    const grouped = name === String(uid)
      ? rare.setgroups(1n, new Uint8Array(new Uint32Array([gid]).buffer))
      : rare.initgroups(cString(name) as Uint8Array<ArrayBuffer>, primary);
    const ungrouped = errno[0] as number;
    if (grouped < 0) return -ungrouped;
    const joined = rare.setresgid(gid, gid, gid);
    const unjoined = errno[0] as number;
    if (joined < 0) return -unjoined;
    const became = rare.setresuid(uid, uid, uid);
    const unchanged = errno[0] as number;
    return became < 0 ? -unchanged : 0;
  }

  function spawn(options: SpawnOptions): number {
    const attributes = new Uint8Array(OPAQUE_SIZE);
    const actions = new Uint8Array(OPAQUE_SIZE);
    const lifted: number[] = [];
    rare.posix_spawnattr_init(attributes);
    rare.posix_spawn_file_actions_init(actions);
    try {
      const flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
        (options.newSession ? POSIX_SPAWN_SETSID : 0);
      rare.posix_spawnattr_setflags(attributes, flags);
      rare.posix_spawnattr_setsigmask(attributes, signalSet(options.blockedSignals));
      rare.posix_spawnattr_setsigdefault(attributes, signalSet(ALL_SIGNALS));
      // Lifted above every target first, so that no dup2 overwrites a source that is still to be placed.
      for (const fd of options.descriptors) {
        const high = c.fcntlInt(fd, F_DUPFD_CLOEXEC, options.descriptors.length + 10);
        const error = errno[0] as number;
        if (high < 0) return -error;
        lifted.push(high);
      }
      lifted.forEach((fd, target) => rare.posix_spawn_file_actions_adddup2(actions, fd, target));
      const pid = new Int32Array(1);
      const args = new CStringArray(options.argv);
      const vars = new CStringArray(options.env);
      const error = rare.posix_spawn(
        new Uint8Array(pid.buffer),
        cString(options.path) as Uint8Array<ArrayBuffer>,
        actions,
        attributes,
        args.pointers as BigUint64Array<ArrayBuffer>,
        vars.pointers as BigUint64Array<ArrayBuffer>,
      );
      return error !== 0 ? -error : pid[0] as number;
    } finally {
      for (const fd of lifted) c.close(fd);
      rare.posix_spawn_file_actions_destroy(actions);
      rare.posix_spawnattr_destroy(attributes);
    }
  }
}
