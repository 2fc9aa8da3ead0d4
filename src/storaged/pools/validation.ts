import type { Answer } from "../model/storage_service.ts";
import type { Core } from "./core.ts";
import { attempting, refused } from "./outcome.ts";
import { run } from "./pool_work.ts";

/**
 * Goes on with a document, when it was asked for after it was found to be what libvirt's schema says.
 *
 * @param schema name of the schema's file
 */
export function validated<Value>(
  core: Core,
  wanted: boolean,
  schema: string,
  xml: string,
  answer: Answer<Value>,
  go: () => void,
): void {
  if (!wanted) return go();
  const options = { place: "validation", limit: core.parts.settings().answerLimit };
  run(
    core,
    core.operations.validate,
    { schema, xml },
    options,
    () => attempting(answer, go),
    (failure) => refused(answer, failure),
  );
}
