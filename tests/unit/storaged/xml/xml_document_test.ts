import assert from "node:assert/strict";
import { RpcFailure } from "../../../../src/chassis/wire/rpc_error.ts";
import { find, parseXml, textAt } from "../../../../src/storaged/xml/xml_document.ts";

function refusal(text: string, root = "pool"): [number, number, string] {
  try {
    parseXml(text, root);
  } catch (error) {
    if (error instanceof RpcFailure) return [error.code, error.domain, error.message];
    throw error;
  }
  assert.fail("The document was read");
}

Deno.test("parseXml() reads elements, attributes, text and CDATA", () => {
  const root = parseXml("<pool type='dir'><name>a&amp;b</name><x><![CDATA[<y>]]></x></pool>", "pool");
  assert.equal(root.attributes.get("type"), "dir");
  assert.equal(textAt(root, "name"), "a&b");
  assert.equal(textAt(root, "x"), "<y>");
});

Deno.test("parseXml() keeps namespaces apart: an element of another one is not found", () => {
  const root = parseXml("<pool xmlns:o='urn:o'><o:name>other</o:name><name>own</name></pool>", "pool");
  assert.equal(textAt(root, "name"), "own");
  assert.equal(root.children.length, 2);
});

Deno.test("parseXml() takes an empty element for none", () => {
  const root = parseXml("<pool><name/></pool>", "pool");
  assert.equal(textAt(root, "name"), undefined);
  assert.notEqual(find(root, "name"), undefined);
});

Deno.test("parseXml() refuses what is not well formed, and shows where", () => {
  const [code, domain, message] = refusal("<pool><name>a</pool>");
  assert.deepEqual([code, domain], [35, 18]);
  assert.match(message, /^at line 1: unexpected close tag\.\n<pool><name>a<\/pool>\n-+\^$/);
  assert.deepEqual(refusal("<pool").slice(0, 2), [35, 18]);
  assert.deepEqual(refusal("").slice(0, 2), [35, 18]);
});

Deno.test("parseXml() expands no entity of a document: it refuses it", () => {
  const bomb = "<!DOCTYPE pool [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><pool><name>&b;</name></pool>";
  assert.match(refusal(bomb)[2], /undefined entity/);
  const file = "<!DOCTYPE pool [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><pool><name>&f;</name></pool>";
  assert.match(refusal(file)[2], /undefined entity/);
});

Deno.test("parseXml() refuses a document that is nested too deeply", () => {
  const deep = `<pool>${"<a>".repeat(300)}${"</a>".repeat(300)}</pool>`;
  assert.match(refusal(deep)[2], /nested deeper than 256 elements/);
});

Deno.test("parseXml() refuses another root element, in libvirt's words", () => {
  const expected = "XML error: expecting root element of 'pool', not 'volume'";
  assert.deepEqual(refusal("<volume/>"), [27, 5, expected]);
});
