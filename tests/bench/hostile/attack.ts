/** What a hostile client does for as long as it runs. */
export type Attack =
  /** Hundreds send requests and read no reply. */
  | "slow-readers"
  /** Hundreds have sent half a message. */
  | "half-messages"
  /** One connects and leaves without pause. */
  | "connects"
  /** One sends 100,000 requests at once, then the next 100,000. */
  | "pipeline"
  /** One sends messages of 32 MiB. */
  | "giants";

/** All of them. */
export const ATTACKS: readonly Attack[] = ["slow-readers", "half-messages", "connects", "pipeline", "giants"];
