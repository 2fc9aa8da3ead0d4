import { ownerText } from "../../lockspace/owner.ts";
import type { HolderEntry } from "../../status/status_document.ts";

/** Who holds a lock, as the daemon's log has it: one that is known by its process alone has no name. */
export function holderText({ domain, uuid, pid }: Pick<HolderEntry, "domain" | "uuid" | "pid">): string {
  return ownerText({ pid, name: domain, uuid, id: 0 });
}
