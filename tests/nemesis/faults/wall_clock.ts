import type { Random } from "../../support/random.ts";

const PAGE = 4096;
/** Of the program's dynamic section, and what its entries are. */
const PT_DYNAMIC = 2;
const DT_HASH = 4;
const DT_STRTAB = 5;
const DT_SYMTAB = 6;
const SYMBOL_SIZE = 24;

/**
 * In the place of __vdso_clock_gettime(clock, time): the kernel is asked, and to the seconds of
 * CLOCK_REALTIME those are added that stand behind the code.
 */
const CLOCK_GETTIME = [
  ...[0xb8, 0xe4, 0x00, 0x00, 0x00], // mov $SYS_clock_gettime, %eax
  ...[0x0f, 0x05], // syscall
  ...[0x85, 0xff], // test %edi, %edi
  ...[0x75, 0x0a], // jne to ret
  ...[0x48, 0x8b, 0x0d, 0x06, 0x00, 0x00, 0x00], // mov the seconds, %rcx
  ...[0x48, 0x01, 0x0e], // add %rcx, (%rsi)
  0xc3, // ret
];
/** In the place of __vdso_gettimeofday(time, zone), which V8 reads the time with. */
const GETTIMEOFDAY = [
  ...[0xb8, 0x60, 0x00, 0x00, 0x00], // mov $SYS_gettimeofday, %eax
  ...[0x0f, 0x05], // syscall
  ...[0x48, 0x85, 0xff], // test %rdi, %rdi
  ...[0x74, 0x0a], // je to ret
  ...[0x48, 0x8b, 0x0d, 0xe5, 0xff, 0xff, 0xff], // mov the seconds, %rcx
  ...[0x48, 0x01, 0x0f], // add %rcx, (%rdi)
  0xc3, // ret
];
/** Where things are behind the beginning of the room; the seconds aligned, so that they change at once. */
const SECONDS_AT = 24;
const GETTIMEOFDAY_AT = 32;
const ROOM = 64;

/** By how much a wall clock is set, in seconds: minutes to days, in either direction. */
export function stepOf(random: Random): number {
  return random.pick([-86_400, -3600, -60, 60, 3600, 86_400]);
}

/**
 * Sets the wall clock of one process ahead of everybody else's, or back. No other clock is changed, and
 * nothing of the program: it reads the clock in a page that the kernel maps into it, which is changed.
 * Needs root and x86-64. A process that has gone has no clock.
 *
 * @param seconds negative: it is behind; 0: it is right again
 */
export function setAhead(pid: number, seconds: number): void {
  try {
    using memory = Deno.openSync(`/proc/${pid}/mem`, { read: true, write: true });
    set(memory, Deno.readTextFileSync(`/proc/${pid}/maps`), seconds);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** Whether what was tried with a process failed because it has ended, or is just ending. */
function isGone(error: unknown): boolean {
  if (error instanceof Deno.errors.NotFound) return true;
  // ESRCH has no class of its own.
  return error instanceof Error && error.message.startsWith("No such process");
}

function set(memory: Deno.FsFile, maps: string, seconds: number): void {
  const [, first = "", last = ""] = /^([0-9a-f]+)-([0-9a-f]+) .*\[vdso\]$/m.exec(maps) ?? [];
  if (first === "") return;
  const [start, end] = [parseInt(first, 16), parseInt(last, 16)];
  const image = new Uint8Array(end - start);
  read(memory, start, image);
  const room = image.length - ROOM;
  const cell = new Uint8Array(8);
  new DataView(cell.buffer).setBigInt64(0, BigInt(seconds), true);
  write(memory, start + room + SECONDS_AT, cell);
  if (image[room] === CLOCK_GETTIME[0]) return;
  const free = image.subarray(room).every((byte) => byte === 0) && room % PAGE !== 0;
  if (!free) throw new Error("Set a clock: there is no room behind the kernel's code");
  const replace = (name: string, code: readonly number[], at: number) => {
    write(memory, start + at, new Uint8Array(code));
    const entry = symbol(image, name);
    const jump = new Uint8Array([0xe9, 0, 0, 0, 0]);
    new DataView(jump.buffer).setInt32(1, at - (entry + jump.length), true);
    write(memory, start + entry, jump);
  };
  replace("__vdso_clock_gettime", CLOCK_GETTIME, room);
  replace("__vdso_gettimeofday", GETTIMEOFDAY, room + GETTIMEOFDAY_AT);
}

/** Where a function of a shared object is. */
function symbol(image: Uint8Array, wanted: string): number {
  const view = new DataView(image.buffer);
  const long = (at: number) => Number(view.getBigUint64(at, true));
  const [headers, size, count] = [long(32), view.getUint16(54, true), view.getUint16(56, true)];
  const dynamic = new Map<number, number>();
  for (let index = 0; index < count; index++) {
    const at = headers + index * size;
    if (view.getUint32(at, true) !== PT_DYNAMIC) continue;
    for (let entry = long(at + 8); long(entry) !== 0; entry += 16) dynamic.set(long(entry), long(entry + 8));
  }
  const [hash, names, symbols] = [DT_HASH, DT_STRTAB, DT_SYMTAB].map((tag) => dynamic.get(tag) ?? 0);
  if (!hash || !names || !symbols) throw new Error("Set a clock: the kernel's code has no symbols");
  for (let index = 0; index < view.getUint32(hash + 4, true); index++) {
    const at = symbols + index * SYMBOL_SIZE;
    const name = names + view.getUint32(at, true);
    const text = new TextDecoder().decode(image.subarray(name, image.indexOf(0, name)));
    if (text === wanted) return long(at + 8);
  }
  throw new Error(`Set a clock: the kernel's code has no ${wanted}`);
}

function read(memory: Deno.FsFile, at: number, into: Uint8Array): void {
  memory.seekSync(at, Deno.SeekMode.Start);
  for (let done = 0; done < into.length;) done += memory.readSync(into.subarray(done)) ?? 0;
}

function write(memory: Deno.FsFile, at: number, bytes: Uint8Array): void {
  memory.seekSync(at, Deno.SeekMode.Start);
  if (memory.writeSync(bytes) !== bytes.length) throw new Error("Set a clock: it could not be written");
}
