import { decodeText } from "../../os/text.ts";
import type { Owner } from "../lockspace/owner.ts";
import { OWN_KEY } from "./document_format.ts";
import { JsonObject } from "./json_object.ts";
import { readExtension } from "./read_extension.ts";
import { readLockspaces } from "./read_lockspaces.ts";
import { readServers } from "./read_servers.ts";
import { RestartStateError } from "./restart_state_error.ts";
import type { RestartState, ServerState } from "./state.ts";

/** What a restart document turned out to be. */
export type ReadOutcome =
  | { kind: "state"; state: RestartState }
  /** Left by another process, whose pid `magic` should be: nothing in it is meant for this one. */
  | { kind: "stale"; magic: string };

/**
 * U+DC80..U+DCFF as UTF-8 would write them, after {@link decodeText} took each of the three bytes for itself.
 */
const WRITTEN_ESCAPE = /\udced([\udcb2\udcb3])([\udc80-\udcbf])/g;

/**
 * Reads a restart document in any form of docs/restart-state.md. Unknown fields are ignored.
 *
 * @param bytes the whole document
 * @param pid process that is to take the state over; without it the process that the document names
 * @throws RestartStateError when the document is ours and not what it has to be
 */
export function readState(bytes: Uint8Array, pid?: number): ReadOutcome {
  const document = JsonObject.document(parse(documentText(bytes)));
  const magic = document.string("magic", "a process id as a string");
  if (pid !== undefined && magic !== String(pid)) return { kind: "stale", magic };
  if (!/^[1-9][0-9]{0,9}$/.test(magic)) document.fail("magic", "a process id as a string");
  return { kind: "state", state: read(document, Number(magic)) };
}

function read(document: JsonObject, pid: number): RestartState {
  const servers = readServers(document);
  const own = document.has(OWN_KEY) ? readExtension(document.object(OWN_KEY)) : undefined;
  const { lockspaces, nextResourceId } = own === undefined
    ? readLockspaces(document, { kind: "libvirt", clients: ownersByPid(servers.virtlockd) })
    : readLockspaces(document, { kind: "own", owners: own.owners, nextResourceId: own.nextResourceId });
  return {
    pid,
    servers,
    lockspaces,
    nextResourceId,
    ...(own === undefined ? {} : { extension: own.extension }),
  };
}

/** libvirt's document names owners by pid alone; who they are, their connections tell. */
function ownersByPid(server: ServerState): Map<number, Owner> {
  const owners = new Map<number, Owner>();
  for (const { owner } of server.clients) if (owner !== undefined) owners.set(owner.pid, owner);
  return owners;
}

/**
 * libvirt's writer passes bytes on that are not UTF-8 as far as they look like it, and turns an escaped lone
 * surrogate into such bytes. So a name of ours that went through libvirt's daemon comes back as the bytes of
 * its escapes.
 */
function documentText(bytes: Uint8Array): string {
  const text = decodeText(bytes);
  if (text.isWellFormed()) return text;
  return text.replace(WRITTEN_ESCAPE, (_match, second: string, third: string) => {
    const bits = (second.charCodeAt(0) & 0x3f) << 6 | third.charCodeAt(0) & 0x3f;
    return String.fromCharCode(0xd000 | bits);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new RestartStateError("", "JSON", text === "" ? "nothing" : `a syntax error (${error.message})`, {
      cause: error,
    });
  }
}
