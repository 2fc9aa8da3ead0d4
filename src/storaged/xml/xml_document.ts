import { SaxesParser } from "saxes";
import { documentError, storageError } from "../model/storage_error.ts";

// XML as a tree of elements. Entities other than the five of XML itself are refused, so nothing is expanded
// or fetched.

/** Deepest nesting, as libxml2 has it. */
const MAX_DEPTH = 256;
/** Longest line of a document that is shown in an error. */
const SHOWN = 80;

/** An element. Names are local ones. */
export interface XmlElement {
  readonly name: string;
  /** Namespace, "" for none. */
  readonly uri: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: XmlElement[];
  /** All text in it, that of its children among it. */
  text: string;
}

/** Refusal of a document that is no XML: which line, what, and where in the line. */
function malformed(text: string, line: number, column: number, reason: string): Error {
  const shown = (text.split("\n")[line - 1] ?? "").slice(0, SHOWN);
  const mark = "-".repeat(Math.min(Math.max(column - 1, 0), SHOWN));
  return storageError("xml-detail", `at line ${line}: ${reason}\n${shown}\n${mark}^`);
}

/**
 * Reads a document.
 *
 * @param root name that its root element must have
 * @throws RpcFailure when it is no XML, or something else
 */
export function parseXml(text: string, root: string): XmlElement {
  const parser = new SaxesParser({ xmlns: true });
  const open: XmlElement[] = [];
  let top: XmlElement | undefined;
  parser.on("error", ({ message }) => {
    const reason = message.replace(/^\d+:\d+: /, "");
    throw malformed(text, parser.line, parser.column, reason);
  });
  parser.on("opentag", (tag) => {
    const attributes = new Map<string, string>();
    for (const { local, uri, value } of Object.values(tag.attributes)) {
      if (uri === "") attributes.set(local, value);
    }
    const element = { name: tag.local, uri: tag.uri, attributes, children: [], text: "" };
    if (open.length >= MAX_DEPTH) {
      throw malformed(text, parser.line, parser.column, `nested deeper than ${MAX_DEPTH} elements`);
    }
    open.at(-1)?.children.push(element);
    top ??= element;
    open.push(element);
  });
  parser.on("closetag", () => {
    const closed = open.pop();
    const parent = open.at(-1);
    if (closed !== undefined && parent !== undefined) parent.text += closed.text;
  });
  const append = (piece: string) => {
    const element = open.at(-1);
    if (element !== undefined) element.text += piece;
  };
  parser.on("text", append);
  parser.on("cdata", append);
  parser.write(text).close();
  if (top === undefined) throw malformed(text, 1, 1, "Document is empty");
  if (top.name !== root) {
    throw documentError(`expecting root element of '${root}', not '${top.name}'`);
  }
  return top;
}

/** Children of a name, in no namespace unless one is given. */
export function childrenOf(element: XmlElement | undefined, name: string, uri = ""): readonly XmlElement[] {
  return element?.children.filter((each) => each.name === name && each.uri === uri) ?? [];
}

/** The first element at the end of a path of names. */
export function find(element: XmlElement | undefined, ...path: readonly string[]): XmlElement | undefined {
  let found = element;
  for (const name of path) found = childrenOf(found, name)[0];
  return found;
}

/** The text of the first element at the end of a path; undefined when there is none, or it is empty. */
export function textAt(element: XmlElement | undefined, ...path: readonly string[]): string | undefined {
  const text = find(element, ...path)?.text;
  return text === "" ? undefined : text;
}

/** An attribute; undefined when it is absent, or empty. */
export function filledAttribute(element: XmlElement | undefined, name: string): string | undefined {
  const value = element?.attributes.get(name);
  return value === "" ? undefined : value;
}
