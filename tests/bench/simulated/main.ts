// The program with a kernel in which lock files of the load (`held-I-J`) cost no descriptor: opening one
// gives a number made from its name, and all that is asked of such a number succeeds. So more locks can be
// held than RLIMIT_NOFILE allows descriptors. Nothing is kept for a file: the program's memory is what it
// would be.
import { main } from "../../../src/lockd/cli/main.ts";
import { linuxSys } from "../../../src/os/linux.ts";
import { emptyStatus, type FileStatus, type Sys } from "../../../src/os/sys.ts";
import { parentDirectory } from "../place.ts";

/**
 * Simulated descriptors begin here: above the real ones of 4,096 clients, and not so far above that the table
 * of descriptors, which would be dense, becomes a sparse one.
 */
const FIRST = 9000;
/** Locks of a client have numbers below. */
const LOCKS = 10;
const NAME = /\/held-(\d+)-(\d)$/;

function numberOf(path: string): number | undefined {
  const found = NAME.exec(path);
  return found === null ? undefined : FIRST + Number(found[1]) * LOCKS + Number(found[2]);
}

const real = linuxSys();

/** Where the files would be: a device that is not mounted anywhere would have to be looked for. */
const place = emptyStatus();
real.stat(parentDirectory(), place);

function fill(into: FileStatus, fd: number): number {
  into.devMajor = place.devMajor;
  into.devMinor = place.devMinor;
  into.inodeLow = fd;
  into.inodeHigh = 0;
  into.links = 1;
  return 0;
}

const simulated: Sys = {
  ...real,
  open: (path, flags, mode) => numberOf(path) ?? real.open(path, flags, mode),
  fcntl: (fd, command, value) => fd >= FIRST ? 0 : real.fcntl(fd, command, value),
  close: (fd) => fd >= FIRST ? 0 : real.close(fd),
  unlink: (path) => numberOf(path) === undefined ? real.unlink(path) : 0,
  fstat: (fd, into) => fd >= FIRST ? fill(into, fd) : real.fstat(fd, into),
  stat(path, into) {
    const fd = numberOf(path);
    return fd === undefined ? real.stat(path, into) : fill(into, fd);
  },
  ofdLock: (fd, type, start, length) => fd >= FIRST ? 0 : real.ofdLock(fd, type, start, length),
};

main(simulated);
