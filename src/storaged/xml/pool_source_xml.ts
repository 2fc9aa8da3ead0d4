import type { PoolSource, SourceDevice } from "../model/pool_definition.ts";
import type { PoolType } from "../model/pool_types.ts";
import { storageError } from "../model/storage_error.ts";
import { readAdapter, writeAdapter, yesOrNo } from "./adapter_xml.ts";
import { cleanPath } from "./clean_path.ts";
import { booleanAttribute, integerAttribute } from "./numbers.ts";
import { readAuthentication, writeAuthentication } from "./secret_xml.ts";
import { childrenOf, filledAttribute, find, parseXml, textAt, type XmlElement } from "./xml_document.ts";
import type { XmlWriter } from "./xml_writer.ts";

/** Reads a `<source>` that came by itself, to look for pools of it. @throws RpcFailure */
export function parseSource(type: PoolType, xml: string): PoolSource {
  return readSource(type, parseXml(xml, "source"));
}

/**
 * Reads the `<source>` of a pool.
 *
 * @throws RpcFailure
 */
export function readSource(type: PoolType, element: XmlElement): PoolSource {
  const name = textAt(element, "name");
  if (type.name === "rbd" && name === undefined) {
    throw storageError("xml", "element 'name' is mandatory for RBD pool");
  }
  const format = formatOf(type, element);
  const hosts = childrenOf(element, "host").map(readHost);
  const initiator = filledAttribute(find(element, "initiator", "iqn"), "name");
  const devices = childrenOf(element, "device").map(readDevice);
  const dir = filledAttribute(find(element, "dir"), "path");
  const adapter = find(element, "adapter");
  const auth = find(element, "auth");
  return {
    hosts,
    devices,
    dir: dir !== undefined ? cleanPath(dir) : type.name === "gluster" ? "/" : undefined,
    adapter: adapter === undefined ? undefined : readAdapter(adapter),
    name,
    initiator,
    format,
    authentication: auth === undefined ? undefined : readAuthentication(auth),
    protocol: protocolOf(element, format),
    vendor: filledAttribute(find(element, "vendor"), "name"),
    product: filledAttribute(find(element, "product"), "name"),
  };
}

function formatOf({ sourceFormats }: PoolType, element: XmlElement): string | undefined {
  if (sourceFormats === undefined) return undefined;
  const said = filledAttribute(find(element, "format"), "type");
  if (said === undefined) return sourceFormats.standard;
  if (sourceFormats.names.includes(said)) return said;
  throw storageError("unsupported", `unknown pool format type ${said}`);
}

function readHost(element: XmlElement): { name: string; port: number } {
  const name = element.attributes.get("name");
  if (name === undefined) throw storageError("xml", "missing storage pool host name");
  return { name, port: integerAttribute(element, "port", 0) };
}

function readDevice(element: XmlElement): SourceDevice {
  const path = element.attributes.get("path");
  if (path === undefined) throw storageError("xml", "missing storage pool source device path");
  return { path, partSeparator: booleanAttribute(element, "part_separator") };
}

/** Version of NFS that is asked for. */
function protocolOf(element: XmlElement, format: string | undefined): string | undefined {
  const protocol = filledAttribute(find(element, "protocol"), "ver");
  if (protocol === undefined) return undefined;
  if (format === "glusterfs" || format === "cifs") {
    throw storageError("unsupported", `storage pool protocol ver unsupported for pool type '${format}'`);
  }
  if (protocol.includes(",")) {
    throw storageError("xml-detail", `storage pool protocol ver '${protocol}' must not contain ','`);
  }
  return protocol;
}

/** Writes the `<source>` of a pool, which may be empty. */
export function writeSource(writer: XmlWriter, type: PoolType, source: PoolSource): void {
  const may = (part: PoolType["parts"][number]) => type.parts.includes(part);
  writer.element("source", {}, () => {
    if (may("host")) {
      for (const { name, port } of source.hosts) {
        writer.empty("host", { name, port: port === 0 ? undefined : port });
      }
    }
    if (may("device")) {
      for (const { path, partSeparator } of source.devices) {
        writer.empty("device", { path, part_separator: yesOrNo(partSeparator) });
      }
    }
    if (may("dir") && source.dir !== undefined) writer.empty("dir", { path: source.dir });
    if (may("adapter") && source.adapter !== undefined) writeAdapter(writer, source.adapter);
    if (may("name")) writer.leaf("name", source.name);
    if (may("initiator") && source.initiator !== undefined) {
      writer.element("initiator", {}, () => writer.empty("iqn", { name: source.initiator }));
    }
    if (source.format !== undefined) writer.empty("format", { type: source.format });
    if (source.authentication !== undefined) writeAuthentication(writer, source.authentication);
    if (source.protocol !== undefined) writer.empty("protocol", { ver: source.protocol });
    if (source.vendor !== undefined) writer.empty("vendor", { name: source.vendor });
    if (source.product !== undefined) writer.empty("product", { name: source.product });
  });
}
