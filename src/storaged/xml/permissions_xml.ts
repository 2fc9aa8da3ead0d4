import { NO_PERMISSIONS, type Permissions } from "../model/pool_definition.ts";
import { storageError } from "../model/storage_error.ts";
import { signed } from "./numbers.ts";
import { find, textAt, type XmlElement } from "./xml_document.ts";
import type { XmlWriter } from "./xml_writer.ts";

/** -1 as a user or group, which older versions wrote for none. */
const NOBODY = 0xffff_ffff;

/**
 * Reads a `<permissions>`; nothing said when there is none.
 *
 * @throws RpcFailure
 */
export function readPermissions(element: XmlElement | undefined): Permissions {
  if (element === undefined) return NO_PERMISSIONS;
  return {
    mode: modeOf(textAt(element, "mode")),
    owner: accountOf(element, "owner"),
    group: accountOf(element, "group"),
    label: textAt(element, "label"),
  };
}

function modeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const mode = /^\s*\+?[0-7]+$/.test(text) ? parseInt(text, 8) : NaN;
  if (!(mode <= 0o777)) throw storageError("xml", "malformed octal mode");
  return mode;
}

function accountOf(element: XmlElement, name: string): number | undefined {
  const found = find(element, name);
  if (found === undefined) return undefined;
  const id = signed(found.text);
  if (id === undefined || id < -1n || id > BigInt(NOBODY)) {
    throw storageError("xml", `malformed ${name} element`);
  }
  return id === -1n || id === BigInt(NOBODY) ? undefined : Number(id);
}

/** Writes a `<permissions>`, unless it would say nothing. */
export function writePermissions(writer: XmlWriter, permissions: Permissions): void {
  const { mode, owner, group, label } = permissions;
  if (mode === undefined && owner === undefined && group === undefined && label === undefined) return;
  writer.element("permissions", {}, () => {
    writer.leaf("mode", mode === undefined ? undefined : `0${mode.toString(8)}`);
    // libvirt writes those of more than 31 bits as negative numbers, and cannot read them again.
    writer.leaf("owner", owner);
    writer.leaf("group", group);
    writer.leaf("label", label);
  });
}
