const DOCS = new URL("../../../docs/", import.meta.url);

/**
 * Reads what a page of docs/ has people run or write: the indented texts under one of its headings, in their
 * order, without the indentation.
 *
 * @throws Error when there is no such heading, or nothing of that kind under it
 */
export async function textsOf(page: string, heading: string): Promise<readonly string[]> {
  const lines = (await Deno.readTextFile(new URL(page, DOCS))).split("\n");
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, "") === heading);
  if (start < 0) throw new Error(`${page} has no heading "${heading}"`);
  const next = lines.findIndex((line, index) => index > start && /^#+ /.test(line));
  const texts: string[] = [];
  let text: string[] = [];
  const end = () => {
    const whole = text.join("\n").replace(/^\n+/, "").trimEnd();
    if (whole !== "") texts.push(`${whole}\n`);
    text = [];
  };
  for (const line of lines.slice(start + 1, next < 0 ? lines.length : next)) {
    if (line.startsWith("    ")) text.push(line.slice(4));
    else if (line === "") text.push("");
    else end();
  }
  end();
  if (texts.length === 0) throw new Error(`${page}, "${heading}", has nothing to be run or written`);
  return texts;
}

/** The one text under a heading that has these words in it. @throws Error when it is not one */
export async function textWith(page: string, heading: string, words: string): Promise<string> {
  const found = (await textsOf(page, heading)).filter((text) => text.includes(words));
  const [text] = found;
  if (text === undefined || found.length > 1) {
    throw new Error(`${page}, "${heading}", has ${found.length} texts with "${words}", want 1`);
  }
  return text;
}
