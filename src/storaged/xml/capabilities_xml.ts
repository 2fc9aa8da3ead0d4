import { type Formats, POOL_TYPES } from "../model/pool_types.ts";
import { XmlWriter } from "./xml_writer.ts";

/** What a connection can do: the types of pools that can be served. */
export function formatCapabilities(types: readonly string[]): string {
  const writer = new XmlWriter();
  writer.element("capabilities", {}, () => {
    writer.gap();
    writer.element("pool", {}, () => writeValues(writer, "type", types));
    writer.gap();
  });
  return writer.text;
}

function writeValues(writer: XmlWriter, name: string, values: readonly string[]): void {
  writer.element("enum", { name }, () => {
    for (const value of values) writer.leaf("value", value);
  });
}

/** All types of pools, with what each knows. */
export function formatPoolCapabilities(isSupported: (type: string) => boolean): string {
  const writer = new XmlWriter();
  writer.element("storagepoolCapabilities", {}, () => {
    for (const { name, sourceFormats, volumeFormats } of POOL_TYPES) {
      writer.element("pool", { type: name, supported: isSupported(name) ? "yes" : "no" }, () => {
        writeFormats(writer, "poolOptions", "sourceFormatType", sourceFormats);
        writeFormats(writer, "volOptions", "targetFormatType", volumeFormats);
      });
    }
  });
  return writer.text;
}

function writeFormats(writer: XmlWriter, element: string, name: string, formats: Formats | undefined): void {
  if (formats === undefined) return;
  writer.element(element, {}, () => {
    writer.empty("defaultFormat", { type: formats.standard });
    writeValues(writer, name, formats.names.slice(0, formats.listed));
  });
}
