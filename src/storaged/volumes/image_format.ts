import { type Feature, FEATURES } from "../model/volume_definition.ts";

// What the first bytes of an image say. A guest may have written them: every number is checked before it is
// used, nothing is followed, and the worst that a header can do is to be misread.

/** So many bytes of an image are looked at. An ISO image has its mark at 32,769. */
export const HEADER_SIZE = 33280;
/** In so many of them every format but ISO is known, and most images have said everything. */
export const FIRST_PIECE = 1024;
/** Where an ISO image has its mark. */
const ISO_MARK_AT = 32769;
const ISO_MARK = "CD001";
/** The bytes that hold the mark of an ISO image. */
export const ISO_PIECE = { position: ISO_MARK_AT, length: ISO_MARK.length } as const;

/** Whether the bytes at {@link ISO_PIECE} are the mark. */
export function isIsoMark(bytes: Uint8Array): boolean {
  return new Header(bytes).says(0, ISO_MARK);
}

/** Bytes with numbers in them; what lies behind the end is 0. */
class Header {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  /** Whether anything was asked for that lies behind the end. */
  #exceeded = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get exceeded(): boolean {
    return this.#exceeded;
  }

  has(end: number): boolean {
    if (end <= this.bytes.length) return true;
    this.#exceeded = true;
    return false;
  }

  word(at: number, little = false): number {
    return this.has(at + 4) ? this.#view.getUint32(at, little) : 0;
  }

  half(at: number): number {
    return this.has(at + 2) ? this.#view.getUint16(at, false) : 0;
  }

  long(at: number, little = false): bigint {
    return this.has(at + 8) ? this.#view.getBigUint64(at, little) : 0n;
  }

  /** Whether these characters stand at an offset. */
  says(at: number, mark: string): boolean {
    if (!this.has(at + mark.length)) return false;
    for (let index = 0; index < mark.length; index++) {
      if (this.bytes[at + index] !== mark.charCodeAt(index)) return false;
    }
    return true;
  }

  /** Text up to a NUL or the end of the piece. */
  text(at: number, length: number): string {
    if (at + length > this.bytes.length) this.#exceeded = true;
    const piece = this.bytes.subarray(at, at + length);
    const end = piece.indexOf(0);
    return new TextDecoder().decode(end < 0 ? piece : piece.subarray(0, end));
  }
}

/** What an image stands on, as its header says it. */
export interface StatedBacking {
  readonly path: string;
  /** Undefined: it is to be found out. */
  readonly format: string | undefined;
}

/** What a header says. */
export interface ImageFacts {
  readonly format: string;
  /** Bytes that a guest sees; undefined: the size of the file. */
  readonly capacity: bigint | undefined;
  readonly clusterSize: bigint;
  readonly backing: StatedBacking | undefined;
  readonly compat: string | undefined;
  readonly features: readonly Feature[] | undefined;
  /** Format of the encryption. */
  readonly encryption: string | undefined;
  /** Bytes that an encryption header takes away from the capacity. */
  readonly encryptionHeader: bigint;
}

/** How a format is known, and where it says its size. */
interface Known {
  readonly format: string;
  readonly matches: (header: Header) => boolean;
  /** Undefined: it says none. */
  readonly capacity?: (header: Header) => bigint | undefined;
}

/** A size that stands at an offset, when the header reaches that far. */
function sizeAt(at: number, little: boolean, factor = 1n): (header: Header) => bigint | undefined {
  return (header) => {
    if (!header.has(at + 8)) return undefined;
    const value = header.long(at, little) * factor;
    return value === 0n || value >= 2n ** 64n ? undefined : value;
  };
}

/** In the order in which they are looked for, after ISO. Each is known in {@link FIRST_PIECE} bytes. */
const KNOWN: readonly Known[] = [
  {
    format: "vpc",
    matches: (header) => header.says(0, "conectix") && header.word(12) === 0x10000,
    capacity: sizeAt(40, false),
  },
  {
    format: "vdi",
    matches: (header) => header.says(64, "\x7f\x10\xda\xbe") && header.word(68, true) === 0x10001,
    capacity: sizeAt(368, true),
  },
  {
    format: "ploop",
    matches: (header) => header.says(0, "WithouFreSpacExt"),
    capacity: sizeAt(36, true, 512n),
  },
  {
    format: "cow",
    matches: (header) => header.says(0, "OOOM") && header.word(4) === 2,
    capacity: sizeAt(1036, false),
  },
  {
    format: "qcow",
    matches: (header) => header.says(0, "QFI") && header.word(4) === 1,
    capacity: sizeAt(24, false),
  },
  {
    format: "qcow2",
    matches: (header) => header.says(0, "QFI") && (header.word(4) === 2 || header.word(4) === 3),
    capacity: sizeAt(24, false),
  },
  { format: "qed", matches: (header) => header.says(0, "QED"), capacity: sizeAt(48, true) },
  {
    format: "vmdk",
    matches: (header) => header.says(0, "KDMV") && [1, 2, 3].includes(header.word(4, true)),
    capacity: sizeAt(12, true, 512n),
  },
];

/** The format of an image by its first {@link HEADER_SIZE} bytes; `raw` when nothing else is known. */
export function probeFormat(bytes: Uint8Array): string {
  const header = new Header(bytes);
  return header.says(ISO_MARK_AT, ISO_MARK) ? "iso" : formatOf(header);
}

function formatOf(header: Header): string {
  return KNOWN.find((each) => each.matches(header))?.format ?? "raw";
}

/**
 * What the first {@link HEADER_SIZE} bytes of an image say.
 *
 * @param format that it has; undefined: it is found out
 */
export function readImage(bytes: Uint8Array, format = probeFormat(bytes)): ImageFacts {
  return factsOf(new Header(bytes), format);
}

/**
 * As {@link readImage}, by the first piece alone.
 *
 * @param format that it has, as far as more than the first piece tells; undefined: it is found out
 * @returns undefined when more of the image is to be looked at
 */
export function readFirstPiece(bytes: Uint8Array, format: string | undefined): ImageFacts | undefined {
  const header = new Header(bytes);
  const facts = factsOf(header, format ?? formatOf(header));
  return header.exceeded ? undefined : facts;
}

function factsOf(header: Header, format: string): ImageFacts {
  const known = KNOWN.find((each) => each.format === format);
  const features = format === "qcow2" ? featuresOf(header) : undefined;
  return {
    format,
    capacity: known?.capacity?.(header),
    clusterSize: format === "qcow2" ? clusterSizeOf(header) : 0n,
    backing: backingOf(header, format),
    compat: features === undefined ? undefined : "1.1",
    features,
    encryption: encryptionOf(header, format),
    encryptionHeader: format === "raw" && isLuks(header) ? BigInt(header.word(104)) * 512n : 0n,
  };
}

function clusterSizeOf(header: Header): bigint {
  const bits = header.word(20);
  // QEMU knows clusters of 512 bytes to 2 MiB.
  return bits > 0 && bits < 64 ? 1n << BigInt(bits) : 0n;
}

/** Of version 3; an image of version 2 has none. */
function featuresOf(header: Header): readonly Feature[] | undefined {
  if (header.word(4) !== 3 || !header.has(104)) return undefined;
  const incompatible = header.long(72);
  const compatible = header.long(80);
  const bits: Record<Feature, bigint> = {
    lazy_refcounts: compatible & 0x1n,
    extended_l2: incompatible & 0x10n,
    data_file: incompatible & 0x4n,
  };
  return FEATURES.filter((feature) => bits[feature] !== 0n);
}

function isLuks(header: Header): boolean {
  return header.says(0, "LUKS\xba\xbe") && header.half(6) === 1;
}

function encryptionOf(header: Header, format: string): string | undefined {
  switch (format) {
    case "raw":
      return isLuks(header) ? "luks" : undefined;
    case "qcow":
      return header.word(36) === 1 ? "qcow" : undefined;
    case "qcow2":
      return header.word(32) === 1 ? "qcow" : header.word(32) === 2 ? "luks" : undefined;
    default:
      return undefined;
  }
}

function backingOf(header: Header, format: string): StatedBacking | undefined {
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

function qcowBacking(header: Header): StatedBacking | undefined {
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
function qcowBackingFormat(header: Header, nameAt: number): string | undefined {
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

function qedBacking(header: Header): StatedBacking | undefined {
  const flags = header.long(16, true);
  if ((flags & QED_BACKED) === 0n) return undefined;
  const offset = header.word(56, true);
  const length = header.word(60, true);
  if (length === 0 || !header.has(offset + length)) return undefined;
  const path = header.text(offset, length);
  return path === "" ? undefined : { path, format: (flags & QED_RAW) === 0n ? undefined : "raw" };
}

function vmdkBacking(header: Header): StatedBacking | undefined {
  const text = header.text(512, HEADER_SIZE - 512);
  const [, path = ""] = /parentFileNameHint="([^"]*)"/.exec(text) ?? [];
  return path === "" || path.length > LONGEST_PATH ? undefined : { path, format: undefined };
}
