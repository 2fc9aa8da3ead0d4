import type { Adapter, PciAddress } from "../model/pool_definition.ts";
import { documentError, storageError } from "../model/storage_error.ts";
import { booleanAttribute, signed, wordAttribute } from "./numbers.ts";
import { find, type XmlElement } from "./xml_document.ts";
import type { XmlWriter } from "./xml_writer.ts";

/**
 * Reads the `<adapter>` of a SCSI pool.
 *
 * @returns undefined when it names none
 * @throws RpcFailure
 */
export function readAdapter(element: XmlElement): Adapter | undefined {
  switch (wordAttribute(element, "type", ["scsi_host", "fc_host"])) {
    case "fc_host":
      return readFcHost(element);
    case "scsi_host":
      return readScsiHost(element);
    case undefined:
      return readPlain(element);
  }
}

/** Without a type there is only a name. */
function readPlain(element: XmlElement): Adapter | undefined {
  if (["wwnn", "wwpn", "parent"].some((name) => element.attributes.has(name))) {
    const detail = "Use of 'wwnn', 'wwpn', and 'parent' attributes requires use of the adapter 'type'";
    throw storageError("xml", detail);
  }
  if (find(element, "parentaddr") !== undefined) {
    throw storageError("xml", "Use of 'parentaddr' element requires use of the adapter 'type'");
  }
  const name = element.attributes.get("name");
  return name === undefined ? undefined : { kind: "scsi_host", name };
}

function readScsiHost(element: XmlElement): Adapter {
  const name = element.attributes.get("name");
  const parent = find(element, "parentaddr");
  if (parent === undefined) {
    if (name !== undefined) return { kind: "scsi_host", name };
    const detail = "Either 'name' or 'parent' must be specified for the 'scsi_host' adapter";
    throw storageError("xml", detail);
  }
  const address = find(parent, "address");
  if (address === undefined) throw storageError("xml", "Missing scsi_host PCI address element");
  const pci = readAddress(address);
  const id = signed(parent.attributes.get("unique_id") ?? "");
  if (id === undefined || id < 0n || id > 0x7fff_ffffn) {
    throw storageError("xml", "Missing or invalid scsi adapter 'unique_id' value");
  }
  if (name !== undefined) {
    const detail = "Both 'name' and 'parent' cannot be specified for the 'scsi_host' adapter";
    throw storageError("xml", detail);
  }
  return { kind: "scsi_host", parent: pci, uniqueId: Number(id) };
}

function readAddress(element: XmlElement): PciAddress {
  return {
    domain: part(element, "domain", 0xffff),
    bus: part(element, "bus", 0xff),
    slot: part(element, "slot", 0x1f),
    function: part(element, "function", 7),
  };
}

/** A number in any notation of C; 0 when it is absent. */
function part(element: XmlElement, name: string, most: number): number {
  const text = element.attributes.get(name);
  if (text === undefined) return 0;
  const value = /^0x[0-9a-f]+$/i.test(text)
    ? parseInt(text, 16)
    : /^0[0-7]*$/.test(text)
    ? parseInt(text, 8)
    : /^[1-9]\d*$/.test(text)
    ? parseInt(text, 10)
    : NaN;
  if (!(value <= most)) {
    throw documentError(`Invalid value for attribute '${name}' in element '${element.name}': '${text}'.`);
  }
  return value;
}

function readFcHost(element: XmlElement): Adapter {
  const managed = booleanAttribute(element, "managed");
  const get = (name: string) => element.attributes.get(name);
  const wwnn = get("wwnn");
  const wwpn = get("wwpn");
  if (wwnn === undefined || wwpn === undefined) {
    throw storageError("xml", "'wwnn' and 'wwpn' must be specified for adapter type 'fchost'");
  }
  const parentWwnn = get("parent_wwnn");
  const parentWwpn = get("parent_wwpn");
  if (parentWwnn !== undefined && parentWwpn === undefined) {
    throw storageError(
      "xml",
      `when providing parent_wwnn='${parentWwnn}', the parent_wwpn must also be provided`,
    );
  }
  if (parentWwnn === undefined && parentWwpn !== undefined) {
    throw storageError(
      "xml",
      `when providing parent_wwpn='${parentWwpn}', the parent_wwnn must also be provided`,
    );
  }
  const parentFabricWwn = get("parent_fabric_wwn");
  for (const name of [wwnn, wwpn, parentWwnn, parentWwpn, parentFabricWwn]) {
    if (name !== undefined && !/^[0-9a-f]{16}$/i.test(name)) {
      throw storageError("xml", `malformed wwn: ${name}`);
    }
  }
  return {
    kind: "fc_host",
    parent: get("parent"),
    parentWwnn,
    parentWwpn,
    parentFabricWwn,
    managed,
    wwnn,
    wwpn,
  };
}

/** Writes an `<adapter>`. */
export function writeAdapter(writer: XmlWriter, adapter: Adapter): void {
  if (adapter.kind === "fc_host") {
    writer.empty("adapter", {
      type: "fc_host",
      parent: adapter.parent,
      parent_wwnn: adapter.parentWwnn,
      parent_wwpn: adapter.parentWwpn,
      parent_fabric_wwn: adapter.parentFabricWwn,
      managed: yesOrNo(adapter.managed),
      wwnn: adapter.wwnn,
      wwpn: adapter.wwpn,
    });
    return;
  }
  if ("name" in adapter) return writer.empty("adapter", { type: "scsi_host", name: adapter.name });
  const { domain, bus, slot, function: number } = adapter.parent;
  writer.element("adapter", { type: "scsi_host" }, () => {
    writer.element("parentaddr", { unique_id: adapter.uniqueId }, () => {
      writer.empty("address", {
        domain: hex(domain, 4),
        bus: hex(bus, 2),
        slot: hex(slot, 2),
        function: hex(number, 1),
      });
    });
  });
}

/** `yes`, `no`, or nothing. */
export function yesOrNo(value: boolean | undefined): string | undefined {
  return value === undefined ? undefined : value ? "yes" : "no";
}

function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}
