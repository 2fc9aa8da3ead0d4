/** An element of an XML document: its attributes, its text, and the elements directly in it. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** The text directly in it, without that of its children. */
  readonly text: string;
}

/** A text is no XML, or of a kind that libvirt does not write. */
export class XmlError extends Error {
  override readonly name = "XmlError";
}

/** An element that is still being read. */
interface OpenElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: XmlElement[];
  text: string;
}

/**
 * One piece of markup, or the text up to the next one: a comment, a processing instruction, CDATA, an end
 * tag, or a start tag with its attributes.
 */
const PIECE =
  /<!--[^]*?-->|<\?[^]*?\?>|<!\[CDATA\[([^]*?)\]\]>|<\/([^\s<>]+)\s*>|<([^\s<>/!?]+)((?:\s+[^\s=<>/]+\s*=\s*(?:'[^'<]*'|"[^"<]*"))*)\s*(\/?)>|([^<]+)/y;
const ATTRIBUTE = /([^\s=]+)\s*=\s*(?:'([^']*)'|"([^"]*)")/g;
const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", apos: "'", quot: '"' };

/**
 * Reads an XML document without a document type, as libvirt writes them.
 *
 * @returns its outermost element
 * @throws XmlError
 */
export function parseXml(text: string): XmlElement {
  const top: OpenElement = { name: "", attributes: new Map(), children: [], text: "" };
  const open = [top];
  for (let at = 0; at < text.length;) {
    PIECE.lastIndex = at;
    const piece = PIECE.exec(text);
    if (piece === null) throw new XmlError(`No XML at character ${at}`);
    at = PIECE.lastIndex;
    const [, cdata, ended, started, attributes = "", empty, plain] = piece;
    const here = open[open.length - 1] as OpenElement;
    if (started !== undefined) {
      const element = { name: started, attributes: readAttributes(attributes), children: [], text: "" };
      here.children.push(element);
      if (empty === "") open.push(element);
    } else if (ended !== undefined) {
      if (here.name !== ended || open.length === 1) throw new XmlError(`Unexpected end of <${ended}>`);
      open.pop();
    } else {
      here.text += cdata ?? decode(plain ?? "");
    }
  }
  const [root, second] = top.children;
  if (open.length > 1) throw new XmlError(`<${open[open.length - 1]?.name}> does not end`);
  if (root === undefined || second !== undefined) throw new XmlError("There is not one outermost element");
  return root;
}

/** The first child of this name. */
export function childOf(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((child) => child.name === name);
}

/** The children of this name. */
export function childrenOf(element: XmlElement | undefined, name: string): readonly XmlElement[] {
  return element?.children.filter((child) => child.name === name) ?? [];
}

/** The text of the first child of this name. */
export function childText(element: XmlElement | undefined, name: string): string | undefined {
  return childOf(element, name)?.text.trim();
}

function readAttributes(text: string): Map<string, string> {
  return new Map(
    [...text.matchAll(ATTRIBUTE)].map(([, name = "", single, double]) =>
      [name, decode(single ?? double ?? "")] as const
    ),
  );
}

function decode(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (whole, decimal, hexadecimal, name) => {
    if (name !== undefined) return NAMED[name] ?? whole;
    const code = decimal === undefined ? parseInt(hexadecimal, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
