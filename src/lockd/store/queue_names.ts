/** Which queue it is: of which life of the daemon, and which of that life's. */
export interface QueueId {
  /** The later life has the greater number. */
  readonly life: number;
  readonly number: number;
}

/** Name of a queue in the service manager's store. It is longer than that of any slot. */
export function queueName({ life, number }: QueueId): string {
  return `queue-${life}-${number}`;
}

/** The queue that a name stands for; undefined when it is no name of a queue. */
export function parseQueueName(name: string): QueueId | undefined {
  const [, life, number] = /^queue-(\d{1,15})-(\d{1,15})$/.exec(name) ?? [];
  return life === undefined || number === undefined
    ? undefined
    : { life: Number(life), number: Number(number) };
}

/** Order in which queues were begun. */
export function byAge(a: QueueId, b: QueueId): number {
  return a.life - b.life || a.number - b.number;
}
