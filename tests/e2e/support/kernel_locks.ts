import { type Runner, runOk } from "./command.ts";

// The kernel's own view of the locks: the daemon under test is never asked.

/** A line of /proc/locks. */
export interface KernelLock {
  /** OFDLCK belongs to a file description, POSIX to a process. */
  kind: "OFDLCK" | "POSIX";
  mode: "READ" | "WRITE";
  /** -1 for an OFDLCK. */
  pid: number;
  /** First byte. */
  start: number;
  /** Last byte; Infinity to the end of the file. */
  end: number;
}

const LINE =
  /^\d+: (OFDLCK|POSIX) +\w+ +(READ|WRITE) +(-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) (\d+) (\d+|EOF)$/;

/** Locks of one file, in the kernel's order, from the text of /proc/locks; waiting ones are left out. */
export function parseLocks(text: string, file: { device: number; inode: number }): KernelLock[] {
  const locks: KernelLock[] = [];
  for (const line of text.split("\n")) {
    const [, kind, mode, pid, major, minor, inode, start, end] = LINE.exec(line) ?? [];
    if (
      (kind === "OFDLCK" || kind === "POSIX") && (mode === "READ" || mode === "WRITE") &&
      Number(inode) === file.inode && parseInt(major ?? "", 16) === majorOf(file.device) &&
      parseInt(minor ?? "", 16) === minorOf(file.device)
    ) {
      locks.push({
        kind,
        mode,
        pid: Number(pid),
        start: Number(start),
        end: end === "EOF" ? Infinity : Number(end),
      });
    }
  }
  return locks;
}

// makedev(3): minor in bits 0-7 and 20-31, major in bits 8-19.
function majorOf(device: number): number {
  return (device >>> 8) & 0xfff;
}

function minorOf(device: number): number {
  return (device & 0xff) | ((device >>> 12) & 0xfff00);
}

/**
 * Shows /proc/locks as it was at one moment. The kernel shows it a page at a time, and what others lock and
 * unlock between two pages may hide a line or show it twice: two readings in turn have to be the same.
 */
const LOCK_LIST =
  'list=$(cat /proc/locks); until next=$(cat /proc/locks); [ "$next" = "$list" ]; do list=$next; done; echo "$list"';

/** Locks on byte 0 of a file, where virtlockd puts its own (QEMU's are at 100 and after). */
export async function byteZeroLocks(runner: Runner, path: string): Promise<KernelLock[]> {
  const [device, inode] = (await runOk(runner, ["stat", "-L", "-c", "%d %i", path])).trim().split(" ");
  const file = { device: Number(device), inode: Number(inode) };
  const locks = parseLocks(await runOk(runner, ["sh", "-c", LOCK_LIST]), file);
  return locks.filter((lock) => lock.start === 0 && lock.end === 0);
}

const PROBE = `
import fcntl, sys
modes = {"shared": fcntl.LOCK_SH, "exclusive": fcntl.LOCK_EX}
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, modes[sys.argv[2]] | fcntl.LOCK_NB, 1, 0)
    except BlockingIOError:
        print("refused")
    else:
        print("granted")
`;

/** Whether a process of its own gets the lock on byte 0 with F_SETLK, and gives it up again at once. */
export async function isLockable(
  runner: Runner,
  path: string,
  mode: "shared" | "exclusive" = "exclusive",
): Promise<boolean> {
  const answer = (await runOk(runner, ["python3", "-IS", "-c", PROBE, path, mode])).trim();
  if (answer !== "granted" && answer !== "refused") {
    throw new Error(`Cannot probe the lock of "${path}": got "${answer}", want granted or refused`);
  }
  return answer === "granted";
}
