import { storageError } from "../model/storage_error.ts";
import type { Encryption, VolumeDefinition } from "../model/volume_definition.ts";
import type { ProgramLimits } from "../work/program_run.ts";

// The command lines of qemu-img. Names and paths come from clients: a comma in an option is doubled, as QEMU
// wants it.

/** What an image is made from. */
export interface ImageInput {
  readonly volume: VolumeDefinition;
  /** File with its passphrase, when it is encrypted. */
  readonly secretFile: string | undefined;
  /** Whether its backing store is said beside it. */
  readonly backingSaid: boolean;
}

/** What is to be made. */
export interface ImageRequest {
  /** Its path is where it is made. */
  readonly volume: VolumeDefinition;
  readonly input: ImageInput | undefined;
  /** File with the passphrase, when it is to be encrypted. */
  readonly secretFile: string | undefined;
  readonly preallocateMetadata: boolean;
  /** Whether its backing store cannot be found from where it is made. */
  readonly backingUnseen?: boolean;
}

function escaped(text: string): string {
  return text.replaceAll(",", ",,");
}

/** Format that qemu-img is told: devices and ISO images are raw bytes to it. */
function plainFormat({ type, format = "raw" }: VolumeDefinition): string {
  return type === "block" || format === "iso" || format === "none" ? "raw" : format;
}

/** The same with encryption, which makes another format of raw. */
function driver(volume: VolumeDefinition): string {
  const format = plainFormat(volume);
  if (format !== "raw" || volume.encryption === undefined) return format;
  if (volume.encryption.format === "luks") return "luks";
  throw storageError("internal", "Only luks encryption is supported for raw files");
}

function check({ volume, input, preallocateMetadata }: ImageRequest): void {
  const format = plainFormat(volume);
  const { encryption, backing } = volume;
  const old = encryption?.format === "qcow" || encryption?.format === "default";
  if (old && (volume.format === "qcow" || volume.format === "qcow2")) {
    throw storageError("unsupported", "creation of qcow2 encrypted image is not supported");
  }
  if (input?.volume.encryption !== undefined && input.volume.encryption.format !== "luks") {
    throw storageError("unsupported", "encryption format of inputvol must be LUKS");
  }
  if (format !== "qcow2") {
    const only = (what: string) => storageError("unsupported", `${what} only available with qcow2`);
    if (preallocateMetadata) throw only("metadata preallocation");
    if (volume.compat !== undefined) throw only("compatibility option");
    if (volume.features !== undefined) throw only("format features");
  }
  if (backing !== undefined) checkBacking(format, volume, input, preallocateMetadata);
  if (encryption !== undefined) checkEncryption(format, driver(volume), encryption);
}

function checkBacking(
  format: string,
  { backing }: VolumeDefinition,
  input: ImageInput | undefined,
  preallocateMetadata: boolean,
): void {
  if (format === "raw") throw storageError("unsupported", "cannot set backing store for raw volume");
  if (preallocateMetadata) {
    throw storageError("unsupported", "metadata preallocation conflicts with backing store");
  }
  const other = input?.volume.backing;
  if (other !== undefined && other.path !== backing?.path) {
    throw storageError("internal", "a different backing store cannot be specified.");
  }
}

/** libvirt's numbers of encryption formats, which its message tells. */
const ENCRYPTION_NUMBERS = ["default", "qcow", "luks", "luks2", "luks-any"];

function checkEncryption(format: string, type: string, { format: encryption, secrets }: Encryption): void {
  if (format !== "raw" && format !== "qcow2") {
    throw storageError("unsupported", `volume encryption unsupported with format ${type}`);
  }
  if (encryption !== "luks") {
    const number = ENCRYPTION_NUMBERS.indexOf(encryption);
    throw storageError("unsupported", `unsupported volume encryption format ${number}`);
  }
  if (secrets.length > 1) throw storageError("xml", "too many secrets for luks encryption");
  if (secrets.length === 0) throw storageError("xml", "no secret provided for luks encryption");
}

/** Name by which qemu-img knows the passphrase of a volume. */
function secretId({ name }: VolumeDefinition): string {
  return `${name}_encrypt0`;
}

function secretObject(volume: VolumeDefinition, file: string | undefined, whose: string): string[] {
  if (volume.encryption === undefined) return [];
  if (file === undefined) throw storageError("internal", `path to ${whose} data file is required`);
  return ["--object", `secret,id=${secretId(volume)},file=${escaped(file)}`];
}

/** Options of `-o` for encryption. */
function encryptionOptions(volume: VolumeDefinition): string[] {
  const { encryption } = volume;
  if (encryption === undefined) return [];
  const prefix = plainFormat(volume) === "qcow2" ? "encrypt." : "";
  const options = prefix === "" ? [] : ["encrypt.format=luks"];
  options.push(`${prefix}key-secret=${secretId(volume)}`);
  const { cipher } = encryption;
  if (cipher === undefined) return options;
  options.push(`${prefix}cipher-alg=${escaped(cipher.name)}-${cipher.size}`);
  if (cipher.mode !== undefined) options.push(`${prefix}cipher-mode=${escaped(cipher.mode)}`);
  if (cipher.hash !== undefined) options.push(`${prefix}hash-alg=${escaped(cipher.hash)}`);
  if (cipher.ivgen === undefined) return options;
  options.push(`${prefix}ivgen-alg=${escaped(cipher.ivgen.name)}`);
  if (cipher.ivgen.hash !== undefined) options.push(`${prefix}ivgen-hash-alg=${escaped(cipher.ivgen.hash)}`);
  return options;
}

/** Kibibytes, rounded up. */
function kibibytes(bytes: bigint): bigint {
  return (bytes + 1023n) / 1024n;
}

/** Version of a qcow2 image that names none, as in libvirt 11: 0.10 cannot have incremental backups. */
const QCOW2_COMPAT = "1.1";

/** `-o` with everything that the format is told; nothing when that is nothing. */
function options({ volume, preallocateMetadata }: ImageRequest, backed: boolean): string[] {
  const format = plainFormat(volume);
  const list: string[] = [];
  if (backed) list.push(`backing_fmt=${volume.backing?.format ?? "raw"}`);
  list.push(...encryptionOptions(volume));
  if (preallocateMetadata) {
    const sparse = kibibytes(volume.capacity) > kibibytes(volume.allocation);
    list.push(`preallocation=${sparse ? "metadata" : "falloc"}`);
  }
  if (volume.noCow) list.push("nocow=on");
  if (volume.compat !== undefined || format === "qcow2") list.push(`compat=${volume.compat ?? QCOW2_COMPAT}`);
  if (volume.clusterSize > 0n) list.push(`cluster_size=${volume.clusterSize}`);
  if (format === "qcow2") list.push(...featureOptions(volume));
  return list.length === 0 ? [] : ["-o", list.join(",")];
}

function featureOptions({ features = [], compat }: VolumeDefinition): string[] {
  const list: string[] = [];
  if (features.includes("lazy_refcounts")) {
    if (compat === "0.10") {
      throw storageError("unsupported", `lazy_refcounts not supported with compat level ${compat}`);
    }
    list.push("lazy_refcounts");
  }
  if (features.includes("extended_l2")) {
    if (compat === "0.10") {
      throw storageError("unsupported", `'extended_l2' not supported with compat level ${compat}`);
    }
    list.push("extended_l2=on");
  }
  return list;
}

/** An image in the words of `--image-opts`. */
function imageOptions(volume: VolumeDefinition): string {
  const prefix = plainFormat(volume) === "qcow2" ? "encrypt." : "";
  const key = volume.encryption === undefined ? "" : `,${prefix}key-secret=${secretId(volume)}`;
  return `driver=${driver(volume)},file.filename=${escaped(pathOf(volume))}${key}`;
}

function pathOf({ path }: VolumeDefinition): string {
  if (path === undefined) throw storageError("invalid-argument", "missing input volume target path");
  return path;
}

/** How QEMU opens a file. */
function fileNode(filename: string): object {
  return { driver: filename.startsWith("/dev/") ? "host_device" : "file", filename };
}

/** The format of an image that is opened, which one whose backing store is said has in its path. */
function openedFormat(volume: VolumeDefinition, backingSaid: boolean): string[] {
  return backingSaid ? [] : ["-f", plainFormat(volume)];
}

function openedPath(volume: VolumeDefinition, backingSaid: boolean): string {
  const path = pathOf(volume);
  const { backing } = volume;
  if (!backingSaid || backing === undefined) return path;
  const said = { driver: backing.format ?? "raw", file: fileNode(backing.path) };
  return `json:${JSON.stringify({ driver: plainFormat(volume), file: fileNode(path), backing: said })}`;
}

/**
 * The arguments of the runs of qemu-img that make an image: one, or two where something is encrypted and
 * copied.
 *
 * @throws RpcFailure for what cannot be made
 */
export function createCommands(request: ImageRequest): string[][] {
  check(request);
  const { volume, input, secretFile, backingUnseen = false } = request;
  const twice = input !== undefined &&
    (volume.encryption !== undefined || input.volume.encryption !== undefined);
  if (input !== undefined && !twice) {
    return [[
      "convert",
      ...openedFormat(input.volume, input.backingSaid),
      "-O",
      driver(volume),
      ...options(request, false),
      openedPath(input.volume, input.backingSaid),
      pathOf(volume),
    ]];
  }
  const backed = volume.backing !== undefined && input === undefined;
  const size = kibibytes(volume.capacity);
  const create = [
    "create",
    "-f",
    driver(volume),
    ...backed ? ["-b", volume.backing?.path ?? ""] : [],
    ...backed && backingUnseen && size > 0n ? ["-u"] : [],
    ...secretObject(volume, secretFile, "secret"),
    ...options(request, backed),
    pathOf(volume),
    ...size > 0n || !backed ? [`${size}K`] : [],
  ];
  if (input === undefined) return [create];
  return [create, [
    "convert",
    "--image-opts",
    "-n",
    "--target-image-opts",
    ...secretObject(volume, secretFile, "secret"),
    ...secretObject(input.volume, input.secretFile, "inputvol secret"),
    imageOptions(input.volume),
    imageOptions(volume),
  ]];
}

/** Bytes of address space that qemu-img gets: most of it are libraries and stacks of threads. */
const MEMORY = 4 * 2 ** 30;
/** Seconds of CPU time for an image of no size, and bytes for which it gets one more. */
const PROCESSOR = 600;
const BYTES_PER_SECOND = 10 << 20;

/**
 * What qemu-img may use for an image. A guest may have written what it reads: a header must not make it take
 * the host's memory, or compute for ever.
 */
export function imageToolLimits({ capacity }: Pick<VolumeDefinition, "capacity">): ProgramLimits {
  return { memory: MEMORY, processor: PROCESSOR + Math.ceil(Number(capacity) / BYTES_PER_SECOND) };
}

/** Sizes that qemu-img resizes to are multiples of this. */
const SECTOR = 512n;

/** The arguments of the run of qemu-img that changes an image's size. */
export function resizeCommand(
  volume: VolumeDefinition,
  capacity: bigint,
  secretFile: string | undefined,
  backingSaid = false,
): string[] {
  const { encryption } = volume;
  const old = encryption?.format === "qcow" || encryption?.format === "default";
  if (old && (volume.format === "qcow" || volume.format === "qcow2")) {
    throw storageError("unsupported", "resize of qcow2 encrypted image is not supported");
  }
  const rounded = (capacity + SECTOR - 1n) / SECTOR * SECTOR;
  const shrink = rounded < volume.capacity ? ["--shrink"] : [];
  if (encryption === undefined) {
    // The format is said: what a guest has written at the beginning of a disk must not choose it.
    return [
      "resize",
      ...shrink,
      ...openedFormat(volume, backingSaid),
      openedPath(volume, backingSaid),
      String(rounded),
    ];
  }
  checkEncryption(plainFormat(volume), driver(volume), encryption);
  const prefix = volume.format === "qcow2" ? "encrypt." : "";
  const image = `driver=${driver(volume)},${prefix}key-secret=${secretId(volume)},file.filename=` +
    escaped(pathOf(volume));
  return [
    "resize",
    ...shrink,
    ...secretObject(volume, secretFile, "secret"),
    "--image-opts",
    image,
    String(rounded),
  ];
}
