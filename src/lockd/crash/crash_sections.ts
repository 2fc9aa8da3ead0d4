import type { DurableLog } from "../../chassis/journal/durable_log.ts";
import type { Operation } from "../journal/operations.ts";
import type { DescriptorStore } from "../store/descriptor_store.ts";
import type { Sections } from "../status/status_document.ts";
import type { StoreGuard } from "./store_guard.ts";

/** What is told of. */
export interface ShownParts {
  readonly log: Pick<DurableLog<Operation>, "status">;
  readonly store: Pick<DescriptorStore, "kept" | "status"> | undefined;
  readonly guard: Pick<StoreGuard, "drops" | "trouble"> | undefined;
}

/** How crash safety is, for the status document and its readers. */
export function crashSections(
  { log, store, guard }: ShownParts,
): Required<Pick<Sections, "journal" | "store">> {
  const { bytes, failed } = log.status;
  return {
    journal: {
      kind: store?.kept === true ? "store" : "file",
      bytes,
      ...(failed === undefined ? {} : { failed }),
    },
    store: store === undefined ? { present: false } : {
      present: true,
      ...store.status,
      drops: guard?.drops ?? 0,
      ...(guard?.trouble === undefined ? {} : { reason: guard.trouble }),
    },
  };
}
