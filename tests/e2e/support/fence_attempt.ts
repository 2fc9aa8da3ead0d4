import type { ClusterHost } from "../../support/cluster_host.ts";
import type { Etcd } from "../../support/etcd.ts";
import {
  decodeFenceNews,
  encodeFenceLine,
  FENCE_PROTOCOL,
  type FenceEnd,
  type FenceNews,
  type FenceTask,
} from "../../../src/lockd/cluster/fencing/fence_messages.ts";

/**
 * Times of a try, in ms. The silence is one that a test can wait for: the daemon itself asks for one of 60 s.
 * The limit, of the program's run, is one that a test never comes near by itself.
 */
const TIMES = { silenceMs: 3000, limitMs: 60_000 };

/** What of its times differs. */
export type FenceTimes = Partial<Pick<FenceTask, "silenceMs" | "limitMs">>;

/** Where a process fences, and for which cluster. */
export interface FencePlace extends Pick<FenceTask, "link" | "endpoints" | "cluster" | "from"> {
  /** That starts the process. */
  readonly socket: string;
}

/** One try to have a host fenced, by a process that a test has started in the daemon's place. */
export class FenceAttempt implements Disposable {
  readonly #connection: Deno.UnixConn;
  readonly #news: FenceNews[] = [];
  readonly #ended: Promise<FenceEnd | undefined>;

  private constructor(connection: Deno.UnixConn) {
    this.#connection = connection;
    this.#ended = this.#read();
  }

  /** Begins one, on a host that is to have a session of another one fenced. */
  static on(
    etcd: Etcd,
    host: ClusterHost,
    session: string,
    command: string,
    times?: FenceTimes,
  ): Promise<FenceAttempt> {
    const place = {
      socket: host.fenceSocket,
      link: `${host.place.paths.runDir}/virtlockd-cluster-sock`,
      endpoints: { urls: etcd.urls },
      cluster: "test",
      from: host.name,
    };
    return FenceAttempt.begin(place, session, command, times);
  }

  /** Begins one in a place. */
  static async begin(
    { socket, ...place }: FencePlace,
    session: string,
    command: string,
    times: FenceTimes = {},
  ): Promise<FenceAttempt> {
    const connection = await Deno.connect({ transport: "unix", path: socket });
    const task = {
      ...place,
      protocol: FENCE_PROTOCOL,
      session,
      reason: "a test asks for it",
      command,
      ...TIMES,
      ...times,
    };
    await connection.write(new TextEncoder().encode(encodeFenceLine(task)));
    return new FenceAttempt(connection);
  }

  /** How it ended; undefined: without a word. */
  get ended(): Promise<FenceEnd | undefined> {
    return this.#ended;
  }

  /** The stages that it has told. */
  get stages(): readonly string[] {
    return this.#news.flatMap((news) => news.kind === "stage" ? [news.stage] : []);
  }

  /** The daemon has gone. */
  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  async #read(): Promise<FenceEnd | undefined> {
    let rest = "";
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(4096);
    for (;;) {
      const count = await this.#connection.read(buffer).catch(() => null);
      if (count === null) return undefined;
      const lines = `${rest}${decoder.decode(buffer.subarray(0, count))}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const news = decodeFenceNews(line);
        if (news === undefined) throw new Error(`No message: ${line}`);
        if (news.kind !== "stage") return news;
        this.#news.push(news);
      }
    }
  }
}
