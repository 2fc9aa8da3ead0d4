import { formatUuid, parseUuid } from "../../chassis/wire/uuid.ts";
import {
  NO_SOURCE,
  type PoolDefinition,
  type PoolSizes,
  type PoolSource,
  type TypeOptions,
} from "../model/pool_definition.ts";
import { type PoolType, poolType } from "../model/pool_types.ts";
import { commonError, documentError, storageError } from "../model/storage_error.ts";
import { yesOrNo } from "./adapter_xml.ts";
import { cleanPath } from "./clean_path.ts";
import { booleanAttribute } from "./numbers.ts";
import { readPermissions, writePermissions } from "./permissions_xml.ts";
import { readSource, writeSource } from "./pool_source_xml.ts";
import { childrenOf, filledAttribute, find, parseXml, textAt, type XmlElement } from "./xml_document.ts";
import { XmlWriter } from "./xml_writer.ts";

const FS_NAMESPACE = "http://libvirt.org/schemas/storagepool/fs/1.0";
const RBD_NAMESPACE = "http://libvirt.org/schemas/storagepool/rbd/1.0";
/** Types whose storage is no directory or device of the host. */
const WITHOUT_TARGET = ["rbd", "sheepdog", "gluster", "iscsi-direct"];

/** Reads the definition of a pool. @throws RpcFailure */
export function parsePool(xml: string): PoolDefinition {
  return readPool(parseXml(xml, "pool"));
}

/** A type by its name. @throws RpcFailure when it has none, or one that nobody knows */
function typeOf(element: XmlElement): PoolType {
  const name = element.attributes.get("type");
  if (name === undefined) throw documentError("Missing required attribute 'type' in element 'pool'");
  const type = poolType(name);
  if (type === undefined) {
    throw documentError(`Invalid value for attribute 'type' in element 'pool': '${name}'.`);
  }
  return type;
}

/**
 * Reads a `<pool>`.
 *
 * @throws RpcFailure
 */
function readPool(element: XmlElement): PoolDefinition {
  const type = typeOf(element);
  const sourceElement = find(element, "source");
  const source = sourceElement === undefined
    ? { ...NO_SOURCE, format: type.sourceFormats?.standard }
    : readSource(type, sourceElement);
  const name = nameOf(type, element, source);
  const uuid = uuidOf(element);
  const copyOnWrite = copyOnWriteOf(type, element);
  checkSource(type, source);
  const named = type.parts.includes("name") && source.name === undefined ? { ...source, name } : source;
  const target = targetOf(type, element, named);
  if (type.name === "iscsi-direct" && source.initiator === undefined) {
    throw storageError("unsupported", "missing initiator IQN");
  }
  return {
    type: type.name,
    name,
    uuid,
    copyOnWrite,
    source: named,
    target,
    refreshAllocation: refreshOf(element),
    options: optionsOf(type, element),
  };
}

function nameOf(type: PoolType, element: XmlElement, source: PoolSource): string {
  const name = textAt(element, "name") ?? (type.parts.includes("name") ? source.name : undefined);
  if (name === undefined) throw storageError("xml", "missing pool source name element");
  if (name.includes("/")) throw storageError("xml", `name ${name} cannot contain '/'`);
  return name;
}

function uuidOf(element: XmlElement): string {
  const text = textAt(element, "uuid");
  if (text === undefined) return crypto.randomUUID();
  const bytes = parseUuid(text.trim());
  if (bytes === undefined) throw storageError("xml", "malformed uuid element");
  return formatUuid(bytes);
}

function copyOnWriteOf(type: PoolType, element: XmlElement): boolean | undefined {
  const cow = find(element, "features", "cow");
  const state = cow === undefined ? undefined : booleanAttribute(cow, "state");
  if (state !== undefined && type.name !== "fs" && type.name !== "dir") {
    throw storageError("no-support", "cow feature may only be used for 'fs' and 'dir' pools");
  }
  return state;
}

function checkSource({ parts }: PoolType, source: PoolSource): void {
  if (parts.includes("host") && source.hosts.length === 0) {
    throw storageError("xml", "missing storage pool source host name");
  }
  if (parts.includes("dir") && source.dir === undefined) {
    throw storageError("xml", "missing storage pool source path");
  }
  if (parts.includes("adapter") && source.adapter === undefined) {
    throw storageError("xml", "missing storage pool source adapter");
  }
  if (parts.length === 1 && parts[0] === "device" && source.devices.length === 0) {
    throw storageError("xml", "missing storage pool source device name");
  }
}

function targetOf(type: PoolType, element: XmlElement, source: PoolSource): PoolDefinition["target"] {
  const permissions = find(element, "target", "permissions");
  if (type.parts.includes("network")) return { path: undefined, permissions: readPermissions(undefined) };
  const path = type.name === "logical"
    ? `/dev/${source.name}`
    : type.name === "zfs"
    ? `/dev/zvol/${source.name}`
    : textAt(element, "target", "path");
  if (path === undefined) throw storageError("xml", "missing storage pool target path");
  return { path: cleanPath(path), permissions: readPermissions(permissions) };
}

function refreshOf(element: XmlElement): string | undefined {
  const allocation = filledAttribute(find(element, "refresh", "volume"), "allocation");
  if (allocation === undefined || ["default", "capacity"].includes(allocation)) return allocation;
  throw storageError(
    "unsupported",
    `unknown storage pool volume refresh allocation type ${allocation}`,
  );
}

function optionsOf({ name }: PoolType, element: XmlElement): TypeOptions | undefined {
  if (name === "fs" || name === "netfs") {
    const found = childrenOf(childrenOf(element, "mount_opts", FS_NAMESPACE)[0], "option", FS_NAMESPACE);
    const options = found.map((option) => {
      const said = option.attributes.get("name");
      if (said === undefined) throw commonError("xml", "no fs mount option name specified");
      return said;
    });
    return options.length === 0 ? undefined : { kind: "mount", options };
  }
  if (name === "rbd") {
    const found = childrenOf(childrenOf(element, "config_opts", RBD_NAMESPACE)[0], "option", RBD_NAMESPACE);
    const options = found.map(readRbdOption);
    return options.length === 0 ? undefined : { kind: "rbd", options };
  }
  return undefined;
}

function readRbdOption(option: XmlElement): { name: string; value: string } {
  const name = option.attributes.get("name");
  if (name === undefined) throw commonError("xml", "no rbd option name specified");
  if (name === "") throw commonError("xml", "empty rbd option name specified");
  const value = option.attributes.get("value");
  if (value === undefined) throw commonError("xml", `no rbd option value specified for name '${name}'`);
  if (value === "") throw commonError("xml", `empty rbd option value specified for name '${name}'`);
  return { name, value };
}

/** The definition of a pool as XML. */
export function formatPool(definition: PoolDefinition, sizes: PoolSizes): string {
  const writer = new XmlWriter();
  writePool(writer, definition, sizes);
  return writer.text;
}

/** What the state file of a pool that is up says. */
export function formatPoolState(definition: PoolDefinition, sizes: PoolSizes): string {
  const writer = new XmlWriter();
  writer.element("poolstate", {}, () => writePool(writer, definition, sizes));
  return writer.text;
}

/** Reads the state file of a pool. @throws RpcFailure */
export function parsePoolState(xml: string): PoolDefinition {
  const pool = find(parseXml(xml, "poolstate"), "pool");
  if (pool === undefined) {
    throw storageError("internal", "Could not find any 'pool' element in state file");
  }
  return readPool(pool);
}

/** Writes a `<pool>`. */
function writePool(writer: XmlWriter, definition: PoolDefinition, sizes: PoolSizes): void {
  const { options, target } = definition;
  const type = poolType(definition.type);
  if (type === undefined) throw storageError("internal", "unexpected pool type");
  writer.element("pool", { type: definition.type, ...namespaceOf(options) }, () => {
    writer.leaf("name", definition.name);
    writer.leaf("uuid", definition.uuid);
    writer.leaf("capacity", sizes.capacity, { unit: "bytes" });
    writer.leaf("allocation", sizes.allocation, { unit: "bytes" });
    writer.leaf("available", sizes.available, { unit: "bytes" });
    if (definition.copyOnWrite !== undefined) {
      writer.element("features", {}, () => {
        writer.empty("cow", { state: yesOrNo(definition.copyOnWrite) });
      });
    }
    writeSource(writer, type, definition.source);
    if (!WITHOUT_TARGET.includes(definition.type)) {
      writer.element("target", {}, () => {
        writer.leaf("path", target.path);
        writePermissions(writer, target.permissions);
      });
    }
    if (definition.refreshAllocation !== undefined) {
      writer.element("refresh", {}, () => {
        writer.empty("volume", { allocation: definition.refreshAllocation });
      });
    }
    if (options !== undefined) writeOptions(writer, options);
  });
}

function namespaceOf(options: TypeOptions | undefined): Readonly<Record<string, string>> {
  switch (options?.kind) {
    case undefined:
      return {};
    case "mount":
      return { "xmlns:fs": FS_NAMESPACE };
    case "rbd":
      return { "xmlns:rbd": RBD_NAMESPACE };
  }
}

function writeOptions(writer: XmlWriter, options: TypeOptions): void {
  switch (options.kind) {
    case "mount":
      return writer.element("fs:mount_opts", {}, () => {
        for (const name of options.options) writer.empty("fs:option", { name });
      });
    case "rbd":
      return writer.element("rbd:config_opts", {}, () => {
        for (const { name, value } of options.options) writer.empty("rbd:option", { name, value });
      });
  }
}
