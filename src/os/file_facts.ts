// What statx(2) tells of a file, and its bytes as the kernel writes them.

/** A moment of a file's life. */
export interface FileTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** What statx(2) tells of a file. */
export interface FileFacts {
  /** Type and permission bits (st_mode). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  /** Of 512 bytes each. */
  readonly blocks: number;
  /** Bytes that are best read or written at once. */
  readonly blockSize: number;
  readonly device: string;
  /** Which mount it is on; "" before Linux 5.8. */
  readonly mount: string;
  readonly inode: string;
  readonly accessed: FileTime;
  readonly modified: FileTime;
  readonly changed: FileTime;
  /** Undefined where the file system does not keep it. */
  readonly born: FileTime | undefined;
}

/** Bytes of struct statx. */
export const STATX_SIZE = 256;
/** So many of them say everything that {@link readFacts} reads. */
export const FACTS_SIZE = 152;

const BIRTH = 0x800;
const MOUNT_ID = 0x1000;
/** Everything that is asked for. */
export const STATX_MASK = 0x7ff | BIRTH | MOUNT_ID;

/** The facts in a filled struct statx at an offset. Nothing of the buffer is kept. */
export function readFacts(view: DataView, offset: number): FileFacts {
  const word = (at: number) => view.getUint32(offset + at, true);
  const long = (at: number) => word(at + 4) * 0x1_0000_0000 + word(at);
  const mask = word(0);
  return {
    mode: view.getUint16(offset + 28, true),
    uid: word(20),
    gid: word(24),
    size: long(40),
    blocks: long(48),
    blockSize: word(4),
    device: `${word(136)}:${word(140)}`,
    mount: (mask & MOUNT_ID) === 0 ? "" : String(long(144)),
    inode: String(view.getBigUint64(offset + 32, true)),
    accessed: timeAt(view, offset + 64),
    modified: timeAt(view, offset + 112),
    changed: timeAt(view, offset + 96),
    born: (mask & BIRTH) === 0 ? undefined : timeAt(view, offset + 80),
  };
}

/** The type and permission bits alone (st_mode). */
export function readMode(view: DataView): number {
  return view.getUint16(28, true);
}

/** The size alone, in bytes. */
export function readSize(view: DataView): number {
  return view.getUint32(44, true) * 0x1_0000_0000 + view.getUint32(40, true);
}

/** Seconds before 1970 are negative; 53 bits are enough for all others. */
function timeAt(view: DataView, at: number): FileTime {
  const seconds = view.getInt32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
  return { seconds, nanoseconds: view.getUint32(at + 8, true) };
}
