import { encodeText } from "../../os/text.ts";
import { SystemError } from "../../os/system_error.ts";
import { commonError, documentError, storageError } from "../model/storage_error.ts";
import type { WorkContext } from "../work/operation.ts";
import { RpcFailure } from "../../chassis/wire/rpc_error.ts";

/** Where libvirt's schemas are. */
const SCHEMAS = "/usr/share/libvirt/schemas";
/** The document's descriptor in the program. */
const DOCUMENT = 3;
/** What xmllint(1) ends with when the document is not what the schema says. */
const INVALID = 3;
/** VIR_ERR_XML_INVALID_SCHEMA, of the domain of XML. */
const INVALID_SCHEMA = 92;
const XML_DOMAIN = 5;
const LIMIT_MS = 30_000;

/**
 * Compares a document with one of libvirt's schemas, by xmllint.
 *
 * @throws RpcFailure when it is not what the schema says, or cannot be compared; WorkCancelled
 */
export function validate(context: WorkContext, schema: string, xml: string): void {
  const { sys } = context;
  const path = `${SCHEMAS}/${schema}`;
  if (sys.access(path, 4) < 0) throw documentError(`Unable to find the schema ${path}`);
  const document = sys.memfd("document");
  if (document < 0) throw new SystemError("memfd_create", "document", document);
  try {
    const bytes = encodeText(xml);
    for (let at = 0; at < bytes.length;) {
      const written = sys.pwrite(document, bytes.subarray(at), at);
      if (written < 0) throw new SystemError("write", "document", written);
      at += written;
    }
    const end = context.run({
      argv: ["xmllint", "--noout", "--nonet", "--relaxng", path, `/proc/self/fd/${DOCUMENT}`],
      descriptors: [document],
      limit: LIMIT_MS,
    });
    if (end.kind === "missing") {
      throw storageError("operation-unsupported", "validation needs xmllint, which is not installed");
    }
    if (end.kind !== "exited") throw commonError("internal", "xmllint did not end as it should");
    if (end.code === 0) return;
    if (end.code !== INVALID) throw commonError("internal", `xmllint failed: ${end.stderr.trim()}`);
    const detail = `Unable to validate doc against ${path}\n${told(end.stderr)}`;
    const prefix = "XML document failed to validate against schema: ";
    throw new RpcFailure(INVALID_SCHEMA, XML_DOMAIN, prefix + detail, `${prefix}%s`, detail);
  } finally {
    sys.close(document);
  }
}

/** What xmllint says is wrong, a line each, without where it read the document. */
function told(text: string): string {
  return text.split("\n").flatMap((line) => {
    const said = /Relax-NG validity error : (.*)$/.exec(line)?.[1];
    return said === undefined ? [] : [`${said}\n`];
  }).join("");
}
