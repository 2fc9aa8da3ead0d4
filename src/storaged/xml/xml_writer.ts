// XML as libvirt writes it: two spaces for each level, attributes in single quotes.

/** Attributes in their order; those that are undefined are left out. */
export type Attributes = Readonly<Record<string, string | number | bigint | undefined>>;

/** Text with what XML reserves escaped. Control characters that no XML document may have are left out. */
function escaped(text: string): string {
  return text
    // deno-lint-ignore no-control-regex -- exactly those that XML 1.0 forbids
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f]/g, "")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&apos;");
}

/** Collects a document line by line. */
export class XmlWriter {
  #text = "";
  #indent = "";

  /** What was written. */
  get text(): string {
    return this.#text;
  }

  /** An element without content. */
  empty(name: string, attributes: Attributes = {}): void {
    this.#line(`<${name}${attributeText(attributes)}/>`);
  }

  /** An element with text in it; left out when there is none. */
  leaf(name: string, text: string | number | bigint | undefined, attributes: Attributes = {}): void {
    if (text === undefined) return;
    this.#line(`<${name}${attributeText(attributes)}>${escaped(String(text))}</${name}>`);
  }

  /** An element with others in it. */
  element(name: string, attributes: Attributes, content: () => void): void {
    this.#line(`<${name}${attributeText(attributes)}>`);
    const outer = this.#indent;
    this.#indent += "  ";
    content();
    this.#indent = outer;
    this.#line(`</${name}>`);
  }

  /** An empty line. */
  gap(): void {
    this.#text += "\n";
  }

  #line(line: string): void {
    this.#text += `${this.#indent}${line}\n`;
  }
}

function attributeText(attributes: Attributes): string {
  return Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}='${escaped(String(value))}'`)
    .join("");
}
