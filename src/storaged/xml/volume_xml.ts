import { type PoolDefinition } from "../model/pool_definition.ts";
import { type Formats, type PoolType, poolType } from "../model/pool_types.ts";
import { storageError } from "../model/storage_error.ts";
import {
  type BackingStore,
  type Extent,
  type Feature,
  FEATURES,
  type Moment,
  type Timestamps,
  VOLUME_TYPES,
  type VolumeDefinition,
} from "../model/volume_definition.ts";
import { readEncryption, writeEncryption } from "./encryption_xml.ts";
import { LARGEST, scaled, sizeOf, unsigned } from "./numbers.ts";
import { readPermissions, writePermissions } from "./permissions_xml.ts";
import { filledAttribute, find, parseXml, textAt, type XmlElement } from "./xml_document.ts";
import { XmlWriter } from "./xml_writer.ts";

/** Whether a volume must say its size: one with a backing store, or a clone, has it from there. */
export type CapacityRule = "required" | "optional" | "optional-with-backing";

/** Reads the definition of a volume of a pool. @throws RpcFailure */
export function parseVolume(pool: PoolDefinition, xml: string, rule: CapacityRule): VolumeDefinition {
  const element = parseXml(xml, "volume");
  const formats = typeOf(pool).volumeFormats;
  const name = textAt(element, "name");
  if (name === undefined) throw storageError("xml", "missing volume name element");
  const type = volumeTypeOf(element);
  const backing = backingOf(formats, element);
  const target = find(element, "target");
  const capacity = capacityOf(element, rule, backing !== undefined);
  const allocation = textAt(element, "allocation") === undefined ? undefined : find(element, "allocation");
  const format = formatOf(formats, find(target, "format"));
  const permissions = readPermissions(find(target, "permissions"));
  const encryption = find(target, "encryption");
  const features = featuresOf(find(target, "features"));
  const compat = compatOf(target) ?? (features === undefined ? undefined : "1.1");
  return {
    type,
    name,
    key: textAt(element, "key"),
    extents: [],
    capacity,
    allocation: allocation === undefined ? capacity : sizeOf(allocation),
    allocationSaid: allocation !== undefined,
    physical: 0n,
    path: textAt(target, "path"),
    format,
    permissions,
    timestamps: undefined,
    encryption: encryption === undefined ? undefined : readEncryption(encryption),
    compat,
    clusterSize: clusterSizeOf(target),
    features,
    noCow: find(target, "nocow") !== undefined,
    backing,
    interrupted: false,
  };
}

function typeOf(pool: PoolDefinition): PoolType {
  const type = poolType(pool.type);
  if (type === undefined) throw storageError("internal", "unexpected pool type");
  return type;
}

function volumeTypeOf(element: XmlElement): VolumeDefinition["type"] {
  const said = filledAttribute(element, "type");
  if (said === undefined) return "file";
  const type = VOLUME_TYPES.find((each) => each === said);
  if (type === undefined) throw storageError("unsupported", `unknown volume type '${said}'`);
  return type;
}

function formatOf(formats: Formats | undefined, element: XmlElement | undefined): string | undefined {
  if (formats === undefined) return undefined;
  const said = filledAttribute(element, "type");
  if (said === undefined) return formats.standard;
  // A file must have a format; "none" is one only of partitions.
  const known = formats.names.includes(said) && (said !== "none" || formats.standard === "none");
  if (!known) throw storageError("unsupported", `unknown volume format type ${said}`);
  return said;
}

function backingOf(formats: Formats | undefined, element: XmlElement): BackingStore | undefined {
  const path = textAt(element, "backingStore", "path");
  if (path === undefined) return undefined;
  const store = find(element, "backingStore");
  return {
    path,
    format: formatOf(formats, find(store, "format")),
    permissions: readPermissions(find(store, "permissions")),
    timestamps: undefined,
  };
}

function capacityOf(element: XmlElement, rule: CapacityRule, backed: boolean): bigint {
  const capacity = find(element, "capacity");
  if (capacity !== undefined && capacity.text !== "") return sizeOf(capacity);
  if (rule === "optional" || rule === "optional-with-backing" && backed) return 0n;
  throw storageError("xml", "missing capacity element");
}

function compatOf(target: XmlElement | undefined): string | undefined {
  const compat = textAt(target, "compat");
  if (compat !== undefined && !/^\d+\.\d+$/.test(compat)) {
    throw storageError("xml", "forbidden characters in 'compat' attribute");
  }
  return compat;
}

function clusterSizeOf(target: XmlElement | undefined): bigint {
  const text = textAt(target, "clusterSize");
  if (text === undefined) return 0n;
  const value = unsigned(text);
  if (value === undefined) {
    const detail = `Invalid value '${text}' for element or attribute './target/clusterSize'`;
    throw storageError("xml", detail);
  }
  return scaled(value, find(target, "clusterSize")?.attributes.get("unit"), LARGEST);
}

function featuresOf(element: XmlElement | undefined): readonly Feature[] | undefined {
  if (element === undefined) return undefined;
  const said = element.children.map(({ name }) => {
    const feature = FEATURES.find((each) => each === name);
    if (feature === undefined) throw storageError("unsupported", `unsupported feature ${name}`);
    return feature;
  });
  return FEATURES.filter((each) => said.includes(each));
}

/** A volume of a pool as XML. */
export function formatVolume(pool: PoolDefinition, volume: VolumeDefinition): string {
  const writer = new XmlWriter();
  const { volumeFormats } = typeOf(pool);
  const shown = volumeFormats === undefined ? { ...volume, format: undefined } : volume;
  writer.element("volume", { type: shown.type }, () => {
    writer.leaf("name", shown.name);
    writer.leaf("key", shown.key);
    if (shown.extents.length > 0) writer.element("source", {}, () => writeExtents(writer, shown.extents));
    writer.leaf("capacity", shown.capacity, { unit: "bytes" });
    writer.leaf("allocation", shown.allocation, { unit: "bytes" });
    if (shown.physical > 0n) writer.leaf("physical", shown.physical, { unit: "bytes" });
    writer.element("target", {}, () => writeTarget(writer, shown));
    const { backing } = shown;
    if (backing === undefined) return;
    writer.element("backingStore", {}, () => {
      writer.leaf("path", backing.path);
      if (volumeFormats !== undefined && backing.format !== undefined) {
        writer.empty("format", { type: backing.format });
      }
      writePermissions(writer, backing.permissions);
      if (backing.timestamps !== undefined) writeTimestamps(writer, backing.timestamps);
    });
  });
  return writer.text;
}

/** Extents of one device after the other, a `<device>` for each run of them. */
function writeExtents(writer: XmlWriter, extents: readonly Extent[]): void {
  for (let at = 0; at < extents.length;) {
    const { path } = extents[at] as Extent;
    writer.element("device", { path }, () => {
      for (; extents[at]?.path === path; at++) {
        const { start, end } = extents[at] as Extent;
        writer.empty("extent", { start, end });
      }
    });
  }
}

function writeTarget(writer: XmlWriter, volume: VolumeDefinition): void {
  const { features, timestamps, encryption } = volume;
  writer.leaf("path", volume.path);
  if (volume.format !== undefined) writer.empty("format", { type: volume.format });
  writePermissions(writer, volume.permissions);
  if (timestamps !== undefined) writeTimestamps(writer, timestamps);
  if (encryption !== undefined) writeEncryption(writer, encryption);
  writer.leaf("compat", volume.compat);
  if (volume.clusterSize > 0n) writer.leaf("clusterSize", volume.clusterSize, { unit: "B" });
  if (features === undefined) return;
  if (features.length === 0) return writer.empty("features");
  writer.element("features", {}, () => {
    for (const feature of features) writer.empty(feature);
  });
}

function writeTimestamps(writer: XmlWriter, { access, modification, change, birth }: Timestamps): void {
  writer.element("timestamps", {}, () => {
    writer.leaf("atime", momentText(access));
    writer.leaf("mtime", momentText(modification));
    writer.leaf("ctime", momentText(change));
    writer.leaf("btime", birth === undefined ? undefined : momentText(birth));
  });
}

function momentText({ seconds, nanoseconds }: Moment): string {
  return nanoseconds === 0 ? String(seconds) : `${seconds}.${String(nanoseconds).padStart(9, "0")}`;
}
