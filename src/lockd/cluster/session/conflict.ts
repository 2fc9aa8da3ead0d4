import type { Resource } from "../../lockspace/resource.ts";

/** A lock of this host's that etcd has for another session. */
export interface Conflict {
  readonly resource: Resource;
  readonly session: string;
}
