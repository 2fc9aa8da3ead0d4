import type { Host } from "./host.ts";
import { parseXml, type XmlElement, XmlError } from "./xml.ts";

/**
 * Reads an XML file of libvirt's.
 *
 * @returns its outermost element, or in one sentence why there is none
 */
export function readXml(host: Host, path: string): XmlElement | string {
  const text = host.read(path);
  if (text === undefined) return `${path} cannot be read`;
  try {
    return parseXml(text);
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    return `${path} is not understood: ${error.message}`;
  }
}
