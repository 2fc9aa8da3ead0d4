import { RUNTIME_FLAGS } from "../../chassis/start/self.ts";

/** V8 has so much room anyway, in MB. */
const ANYWAY = 45;
/** What is made of a document takes so much of V8's heap, in bytes for each of its own. */
const FOR_EACH_BYTE = 8;
/** More than this is not asked for, in MB: the program's first lines take three digits. */
const MOST = 900;

/** Variables for the next image; none where it needs none. */
export type HeapRoom = Readonly<Record<string, string>>;

/**
 * Variables by which an image that takes over many locks gets room for them at once. V8 collects everything
 * each time when its heap has grown a little, and while a large state is read all of that is still needed:
 * with 40,000 locks a third of a restart went into it. What was once collected grows as ever.
 *
 * @param bytes size of the document that is handed over
 */
export function heapRoom(bytes: number): HeapRoom {
  const room = Math.min(MOST, Math.round(bytes * FOR_EACH_BYTE / 1_000_000));
  return room > ANYWAY ? { [RUNTIME_FLAGS]: `--initial-old-space-size=${room}` } : {};
}
