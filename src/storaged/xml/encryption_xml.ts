import { commonError, documentError } from "../model/storage_error.ts";
import type { Cipher, Encryption } from "../model/volume_definition.ts";
import { unsigned, wordAttribute } from "./numbers.ts";
import { readSecret, writeSecret } from "./secret_xml.ts";
import { childrenOf, filledAttribute, find, type XmlElement } from "./xml_document.ts";
import type { XmlWriter } from "./xml_writer.ts";

const FORMATS = ["default", "qcow", "luks", "luks2", "luks-any"];
/** Largest number of 32 bits. */
const LARGEST_SIZE = 0xffff_ffffn;

/** Reads an `<encryption>`. @throws RpcFailure */
export function readEncryption(element: XmlElement): Encryption {
  const format = filledAttribute(element, "format");
  if (format === undefined) throw commonError("xml", "unknown volume encryption format");
  if (!FORMATS.includes(format)) {
    throw commonError("unsupported", `unknown volume encryption format type ${format}`);
  }
  const engine = wordAttribute(element, "engine", ["qemu", "librbd"]);
  const secrets = childrenOf(element, "secret").map((secret) => {
    const type = filledAttribute(secret, "type");
    if (type === undefined) throw commonError("xml", "unknown volume encryption secret type");
    if (type !== "passphrase") {
      throw commonError("unsupported", `unknown volume encryption secret type ${type}`);
    }
    return readSecret(secret);
  });
  return { format, engine, secrets, cipher: format === "luks" ? cipherOf(element) : undefined };
}

function cipherOf(element: XmlElement): Cipher | undefined {
  const cipher = find(element, "cipher");
  const ivgen = find(element, "ivgen");
  if (cipher === undefined) {
    if (ivgen === undefined) return undefined;
    throw commonError("xml", "ivgen element found, but cipher is missing");
  }
  const name = cipher.attributes.get("name");
  if (name === undefined) throw commonError("xml", "cipher info missing 'name' attribute");
  const said = cipher.attributes.get("size");
  if (said === undefined) throw documentError("Missing required attribute 'size' in element 'cipher'");
  const size = unsigned(said);
  if (size === undefined || size > LARGEST_SIZE) {
    throw documentError(
      `Invalid value for attribute 'size' in element 'cipher': '${said}'. Expected integer value`,
    );
  }
  return {
    name,
    size: Number(size),
    mode: cipher.attributes.get("mode"),
    hash: cipher.attributes.get("hash"),
    ivgen: ivgen === undefined ? undefined : ivgenOf(ivgen),
  };
}

function ivgenOf(element: XmlElement): Cipher["ivgen"] {
  const name = element.attributes.get("name");
  if (name === undefined) throw commonError("xml", "missing ivgen info name string");
  return { name, hash: element.attributes.get("hash") };
}

/** Writes an `<encryption>`. */
export function writeEncryption(writer: XmlWriter, encryption: Encryption): void {
  const { format, engine, secrets, cipher } = encryption;
  writer.element("encryption", { format, engine }, () => {
    for (const secret of secrets) writeSecret(writer, secret);
    if (cipher === undefined) return;
    const { name, size, mode, hash, ivgen } = cipher;
    writer.empty("cipher", { name, size, mode, hash });
    if (ivgen !== undefined) writer.empty("ivgen", ivgen);
  });
}
