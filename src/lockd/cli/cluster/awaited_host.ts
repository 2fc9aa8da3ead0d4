import type { Sys } from "../../../os/sys.ts";
import type { StatusDocument } from "../../status/status_document.ts";

/** Between two looks, in ms. */
const LOOK_MS = 300;

/** How long a host is waited for. */
export interface Wait {
  readonly limitMs: number;
  /** Also while its cluster is closed, which a person opens. */
  readonly closed: boolean;
}

/** How a host is watched that is waited for. */
export interface HostWatch {
  /** What its daemon says by now. */
  readonly look: () => StatusDocument;
  /** Whether etcd says that it has left with this session, which its daemon may not know yet. */
  readonly hasLeft: (status: StatusDocument, session: string) => boolean;
  readonly sys: Pick<Sys, "monotonic" | "pollReadable">;
}

/**
 * Waits as long as a host is on its way in.
 *
 * @param first what its daemon has said a moment ago
 */
export function awaited(
  { look, sys }: HostWatch,
  { limitMs, closed }: Wait,
  first?: StatusDocument,
): StatusDocument {
  const end = sys.monotonic() + limitMs;
  for (let status = first;; status = undefined) {
    status ??= look();
    const { state, reason } = status.sections.cluster ?? {};
    const changes = state === "joining" || state === "unsure" || (state === "live" && reason !== undefined) ||
      (state === "closed" && closed);
    if (!changes || sys.monotonic() >= end) return status;
    sys.pollReadable(-1, LOOK_MS);
  }
}

/**
 * Waits as long as a host is on its way in, and also until one that was made to leave has heard of it. Before
 * that one hears it may be in doubt of itself for a moment, which is on its way in once more.
 *
 * @param first what its daemon has said a moment ago
 */
export function heardOf(watch: HostWatch, wait: Wait, first: StatusDocument): StatusDocument {
  const { look, hasLeft, sys } = watch;
  const end = sys.monotonic() + wait.limitMs;
  let known = first;
  let leaver: string | undefined;
  for (;;) {
    const status = awaited(watch, { ...wait, limitMs: end - sys.monotonic() }, known);
    const { state, session } = status.sections.cluster ?? {};
    if (state !== "live" || session === undefined || sys.monotonic() >= end) return status;
    if (session !== leaver && !hasLeft(status, session)) return status;
    leaver = session;
    sys.pollReadable(-1, LOOK_MS);
    known = look();
  }
}
