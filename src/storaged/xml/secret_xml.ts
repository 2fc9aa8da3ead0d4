import { formatUuid, parseUuid } from "../../chassis/wire/uuid.ts";
import type { Authentication, SecretReference } from "../model/pool_definition.ts";
import { commonError, storageError } from "../model/storage_error.ts";
import { filledAttribute, find, type XmlElement } from "./xml_document.ts";
import type { XmlWriter } from "./xml_writer.ts";

/** Reads what says which secret is meant. @throws RpcFailure */
export function readSecret(element: XmlElement): SecretReference {
  const uuid = element.attributes.get("uuid");
  const usage = element.attributes.get("usage");
  const type = element.attributes.get("type");
  if (uuid === undefined && usage === undefined) {
    throw commonError("xml", "missing secret uuid or usage attribute");
  }
  if (uuid !== undefined && usage !== undefined) {
    throw commonError("xml", "either secret uuid or usage expected");
  }
  if (uuid === undefined) return { type, by: { usage: usage ?? "" } };
  const bytes = parseUuid(uuid);
  if (bytes === undefined) throw commonError("xml", `invalid secret uuid '${uuid}'`);
  return { type, by: { uuid: formatUuid(bytes) } };
}

/** Writes a `<secret>`. */
export function writeSecret(writer: XmlWriter, { type, by }: SecretReference): void {
  writer.empty("secret", { type, ...by });
}

/** Reads a pool's `<auth>`. @throws RpcFailure */
export function readAuthentication(element: XmlElement): Authentication {
  const username = filledAttribute(element, "username");
  if (username === undefined) throw storageError("xml", "missing username for auth");
  const type = filledAttribute(element, "type");
  if (type !== undefined && !["none", "chap", "ceph"].includes(type)) {
    throw storageError("unsupported", `unknown auth type '${type}'`);
  }
  const secret = find(element, "secret");
  if (secret === undefined) throw storageError("xml", "Missing <secret> element in auth");
  const reference = readSecret(secret);
  if (type === undefined || type === "none") {
    throw storageError("unsupported", "storage pool missing auth type");
  }
  return { type, username, secret: reference };
}

/** Writes an `<auth>`. */
export function writeAuthentication(writer: XmlWriter, { type, username, secret }: Authentication): void {
  writer.element("auth", { type, username }, () => writeSecret(writer, secret));
}
