// libc through FFI. Opened once; the symbol tables are passed to the modules that build the Sys surface from
// them.

// Signatures of the libc functions this daemon calls (x86_64 and aarch64 Linux, glibc 2.28 or newer).

/**
 * Functions that are called again and again while the daemon serves. The runtime compiles a way to each of
 * them when it is bound, which takes a tenth of a millisecond; calling it costs next to nothing.
 */
const SIGNATURES = {
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  unlink: { parameters: ["buffer"], result: "i32" },
  readlink: { parameters: ["buffer", "buffer", "u32"], result: "i32" },
  // fcntl is variadic; on x86_64 and aarch64 Linux a third integer or pointer argument travels in the same
  // register.
  fcntlInt: { name: "fcntl", parameters: ["i32", "i32", "i32"], result: "i32" },
  fcntlLock: { name: "fcntl", parameters: ["i32", "i32", "buffer"], result: "i32" },

  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  recv: { parameters: ["i32", "pointer", "u32", "i32"], result: "i32" },
  sendNative: { name: "send", parameters: ["i32", "pointer", "u32", "i32"], result: "i32" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  sendmmsg: { parameters: ["i32", "pointer", "u32", "i32"], result: "i32" },
  recvmmsg: { parameters: ["i32", "pointer", "u32", "i32", "pointer"], result: "i32" },

  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "pointer", "i32", "i32"], result: "i32" },
  timerfd_settime: { parameters: ["i32", "i32", "buffer", "pointer"], result: "i32" },
  sched_yield: { parameters: [], result: "i32" },
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  pidfdOpen: { name: "syscall", parameters: ["i64", "i32", "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The others: nothing is compiled for them, and a call takes some three microseconds. */
const RARE_SIGNATURES = {
  __errno_location: { parameters: [], result: "pointer" },

  write: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  mkdir: { parameters: ["buffer", "u32"], result: "i32" },
  chdir: { parameters: ["buffer"], result: "i32" },
  access: { parameters: ["buffer", "i32"], result: "i32" },
  umask: { parameters: ["u32"], result: "u32" },
  pread64: { name: "pread64", parameters: ["i32", "buffer", "u32", "i64"], result: "i32" },
  pwrite64: { name: "pwrite64", parameters: ["i32", "buffer", "u32", "i64"], result: "i32" },
  ftruncate64: { parameters: ["i32", "i64"], result: "i32" },
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  fsync: { parameters: ["i32"], result: "i32" },
  rename: { parameters: ["buffer", "buffer"], result: "i32" },
  lchown: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  getdents64: { parameters: ["i32", "buffer", "u32"], result: "i32", optional: true },

  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },

  epoll_create1: { parameters: ["i32"], result: "i32" },
  signalfd: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  timerfd_create: { parameters: ["i32", "i32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  inotify_init1: { parameters: ["i32"], result: "i32" },
  inotify_add_watch: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },

  getpid: { parameters: [], result: "i32" },
  getuid: { parameters: [], result: "u32" },
  pthread_sigmask: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  execve: { parameters: ["buffer", "buffer", "buffer"], result: "i32" },
  prctlName: { name: "prctl", parameters: ["i32", "buffer"], result: "i32" },
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  getgid: { parameters: [], result: "u32" },
  setresuid: { parameters: ["u32", "u32", "u32"], result: "i32" },
  setresgid: { parameters: ["u32", "u32", "u32"], result: "i32" },
  setgroups: { parameters: ["usize", "buffer"], result: "i32" },
  initgroups: { parameters: ["buffer", "u32"], result: "i32" },
  kill: { parameters: ["i32", "i32"], result: "i32" },
  pidfdSignal: { name: "syscall", parameters: ["i64", "i32", "i32", "pointer", "u32"], result: "i32" },
  sigaction: { parameters: ["i32", "buffer", "pointer"], result: "i32" },
  posix_spawn: {
    parameters: ["buffer", "buffer", "buffer", "buffer", "buffer", "buffer"],
    result: "i32",
  },
  posix_spawnattr_init: { parameters: ["buffer"], result: "i32" },
  posix_spawnattr_destroy: { parameters: ["buffer"], result: "i32" },
  posix_spawnattr_setflags: { parameters: ["buffer", "i32"], result: "i32" },
  posix_spawnattr_setsigmask: { parameters: ["buffer", "buffer"], result: "i32" },
  posix_spawnattr_setsigdefault: { parameters: ["buffer", "buffer"], result: "i32" },
  posix_spawn_file_actions_init: { parameters: ["buffer"], result: "i32" },
  posix_spawn_file_actions_destroy: { parameters: ["buffer"], result: "i32" },
  posix_spawn_file_actions_adddup2: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  getpwuid_r: { parameters: ["u32", "buffer", "buffer", "usize", "buffer"], result: "i32" },
  getgrnam_r: { parameters: ["buffer", "buffer", "buffer", "usize", "buffer"], result: "i32" },
  getgrgid_r: { parameters: ["u32", "buffer", "buffer", "usize", "buffer"], result: "i32" },
  malloc_trim: { parameters: ["usize"], result: "i32" },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const LIBC = "libc.so.6";

/** The typed functions of an opened libc. */
export type LibcSymbols = Deno.StaticForeignLibraryInterface<typeof SIGNATURES>;

/** The typed functions that are bound later. */
export type RareLibcSymbols = Deno.StaticForeignLibraryInterface<typeof RARE_SIGNATURES>;

/** libc's functions, and errno as a live view of this thread's variable. */
export interface Libc {
  c: LibcSymbols;
  /**
   * Functions called seldom, each bound when it is first taken from here: never between a libc function and
   * reading `errno`.
   */
  rare: RareLibcSymbols;
  /**
   * `errno[0]` must be read in the very next expression after the call: a GC or any Deno operation may change
   * it.
   */
  errno: Int32Array;
}

/**
 * Opens libc for the calling thread.
 *
 * @throws TypeError when libc or a function is missing (not glibc, or older than 2.28)
 */
export function openLibc(): Libc {
  const c = Deno.dlopen(LIBC, SIGNATURES).symbols;
  const rare = bindLater();
  const location = rare.__errno_location();
  if (location === null) throw new TypeError("Open libc: __errno_location returned null");
  const errno = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(location, 4));
  return { c, rare, errno };
}

/**
 * Functions each of which is looked up when it is called for the first time: most daemons never call most of
 * them.
 */
function bindLater(): RareLibcSymbols {
  const symbols: Partial<RareLibcSymbols> = {};
  for (const [name, signature] of Object.entries<RareSignature>(RARE_SIGNATURES)) {
    const bind = () => {
      const value = bindByAddress(signature.name ?? name, signature);
      Object.defineProperty(symbols, name, { value });
      return value;
    };
    Object.defineProperty(symbols, name, { configurable: true, get: bind });
  }
  return symbols as RareLibcSymbols;
}

/** What a signature may say besides its types. */
type RareSignature = Deno.ForeignFunction & { readonly name?: string; readonly optional?: boolean };

/** How the runtime types the pointer to such a function. */
type Called = Omit<RareSignature, "nonblocking">;

/** @returns null for an optional function that is missing */
function bindByAddress(name: string, signature: RareSignature): ((...args: never[]) => unknown) | null {
  const optional = signature.optional === true;
  const { address } = Deno.dlopen(LIBC, { address: { name, type: "pointer", optional } }).symbols;
  if (address === null) return null;
  const pointer = new Deno.UnsafeFnPointer(address as Deno.PointerObject<Called>, signature);
  return (...args) => pointer.call(...args);
}
