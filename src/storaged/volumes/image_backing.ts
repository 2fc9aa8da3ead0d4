import { HEADER_SIZE, type ImageHeader } from "./image_header.ts";

/** What an image stands on, as its header says it. */
export interface StatedBacking {
  readonly path: string;
  /** Undefined: it is to be found out. */
  readonly format: string | undefined;
}

/** What an image of a format says that it stands on; undefined: nothing, or nothing that can be believed. */
export function backingOf(header: ImageHeader, format: string): StatedBacking | undefined {
  switch (format) {
    case "qcow":
    case "qcow2":
      return qcowBacking(header);
    case "qed":
      return qedBacking(header);
    case "vmdk":
      return vmdkBacking(header);
    case "cow": {
      const path = header.has(1032) ? header.text(8, 1024) : "";
      return path === "" ? undefined : { path, format: undefined };
    }
    default:
      return undefined;
  }
}

/** Longest name of a backing file, as QEMU has it. */
const LONGEST_NAME = 1023;
/** Longest path that a file can have. */
const LONGEST_PATH = 4095;

function qcowBacking(header: ImageHeader): StatedBacking | undefined {
  const offset = header.long(8);
  const length = header.word(16);
  if (offset === 0n || length === 0 || length > LONGEST_NAME) return undefined;
  if (!header.has(Number(offset) + length)) return undefined;
  const path = header.text(Number(offset), length);
  return path === "" ? undefined : { path, format: qcowBackingFormat(header, Number(offset)) };
}

/** Marks of the extensions between header and name. */
const BACKING_FORMAT = 0xe279_2aca;
const LAST_EXTENSION = 0;

/** The format of the backing file is in an extension; the first version has none. */
function qcowBackingFormat(header: ImageHeader, nameAt: number): string | undefined {
  const version = header.word(4);
  if (version < 2) return undefined;
  const end = Math.min(header.bytes.length, nameAt) - 8;
  for (let at = version === 2 ? 72 : header.word(100); at < end;) {
    const mark = header.word(at);
    const length = header.word(at + 4);
    at += 8;
    if (mark === LAST_EXTENSION || !header.has(at + length)) return undefined;
    if (mark === BACKING_FORMAT) return header.text(at, length);
    at += length;
  }
  return undefined;
}

const QED_BACKED = 1n;
const QED_RAW = 4n;

function qedBacking(header: ImageHeader): StatedBacking | undefined {
  const flags = header.long(16, true);
  if ((flags & QED_BACKED) === 0n) return undefined;
  const offset = header.word(56, true);
  const length = header.word(60, true);
  if (length === 0 || !header.has(offset + length)) return undefined;
  const path = header.text(offset, length);
  return path === "" ? undefined : { path, format: (flags & QED_RAW) === 0n ? undefined : "raw" };
}

function vmdkBacking(header: ImageHeader): StatedBacking | undefined {
  const text = header.text(512, HEADER_SIZE - 512);
  const [, path = ""] = /parentFileNameHint="([^"]*)"/.exec(text) ?? [];
  return path === "" || path.length > LONGEST_PATH ? undefined : { path, format: undefined };
}
