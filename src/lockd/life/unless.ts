import { LogConfigError } from "../../chassis/log/log_config_error.ts";
import { StartError } from "../../chassis/start/start_error.ts";
import { SystemError } from "../../os/system_error.ts";

/**
 * Runs a step of the start. When it fails and that is to be forgiven, something else is done instead.
 *
 * @param forgive asked only after a failure: to find out what is at stake takes time
 * @param otherwise is told why it failed
 */
export function unless<T, U>(forgive: () => boolean, step: () => T, otherwise: (why: string) => U): T | U {
  try {
    return step();
  } catch (error) {
    const known = error instanceof StartError || error instanceof SystemError ||
      error instanceof LogConfigError;
    if (!known || !forgive()) throw error;
    return otherwise(error.message);
  }
}
