import { type Feature, FEATURES } from "../model/volume_definition.ts";
import { backingOf, type StatedBacking } from "./image_backing.ts";
import { ImageHeader } from "./image_header.ts";

// What the first bytes of an image say. A guest may have written them: every number is checked before it is
// used, nothing is followed, and the worst that a header can do is to be misread.

/** In so many of them every format but ISO is known, and most images have said everything. */
export const FIRST_PIECE = 1024;
/** Where an ISO image has its mark. */
const ISO_MARK_AT = 32769;
const ISO_MARK = "CD001";
/** The bytes that hold the mark of an ISO image. */
export const ISO_PIECE = { position: ISO_MARK_AT, length: ISO_MARK.length } as const;

/** Whether the bytes at {@link ISO_PIECE} are the mark. */
export function isIsoMark(bytes: Uint8Array): boolean {
  return new ImageHeader(bytes).says(0, ISO_MARK);
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
  readonly matches: (header: ImageHeader) => boolean;
  /** Undefined: it says none. */
  readonly capacity?: (header: ImageHeader) => bigint | undefined;
}

/** A size that stands at an offset, when the header reaches that far. */
function sizeAt(at: number, little: boolean, factor = 1n): (header: ImageHeader) => bigint | undefined {
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
  const header = new ImageHeader(bytes);
  return header.says(ISO_MARK_AT, ISO_MARK) ? "iso" : formatOf(header);
}

function formatOf(header: ImageHeader): string {
  return KNOWN.find((each) => each.matches(header))?.format ?? "raw";
}

/**
 * What the first {@link HEADER_SIZE} bytes of an image say.
 *
 * @param format that it has; undefined: it is found out
 */
export function readImage(bytes: Uint8Array, format = probeFormat(bytes)): ImageFacts {
  return factsOf(new ImageHeader(bytes), format);
}

/**
 * As {@link readImage}, by the first piece alone.
 *
 * @param format that it has, as far as more than the first piece tells; undefined: it is found out
 * @returns undefined when more of the image is to be looked at
 */
export function readFirstPiece(bytes: Uint8Array, format: string | undefined): ImageFacts | undefined {
  const header = new ImageHeader(bytes);
  const facts = factsOf(header, format ?? formatOf(header));
  return header.exceeded ? undefined : facts;
}

function factsOf(header: ImageHeader, format: string): ImageFacts {
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

function clusterSizeOf(header: ImageHeader): bigint {
  const bits = header.word(20);
  // QEMU knows clusters of 512 bytes to 2 MiB.
  return bits > 0 && bits < 64 ? 1n << BigInt(bits) : 0n;
}

/** Of version 3; an image of version 2 has none. */
function featuresOf(header: ImageHeader): readonly Feature[] | undefined {
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

function isLuks(header: ImageHeader): boolean {
  return header.says(0, "LUKS\xba\xbe") && header.half(6) === 1;
}

function encryptionOf(header: ImageHeader, format: string): string | undefined {
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
