import { decodeToLink } from "../wire/decode_to_link.ts";
import { encodeLine, type FromLink, LINK_PROTOCOL } from "../wire/link_messages.ts";
import type { Members } from "./members.ts";
import type { Endpoints } from "../wire/link_messages.ts";

/** What a link works with. */
export interface LinkParts {
  /** @throws Error when the settings are unusable */
  readonly connect: (endpoints: Endpoints) => Pick<Members, "ask" | "close">;
  readonly send: (line: string) => void;
}

/**
 * What speaks to etcd for the daemon. It keeps nothing: every question has all that is needed, and is put to
 * etcd once. The daemon alone knows what an answer means.
 */
export class Link {
  readonly #parts: LinkParts;
  #members: Pick<Members, "ask" | "close"> | undefined;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  /**
   * A line from the daemon.
   *
   * @returns whether to go on
   */
  received(line: string): boolean {
    const message = decodeToLink(line);
    if (message === undefined) {
      return this.#unusable("the daemon sent what is no message: daemon and link are not of one version");
    }
    switch (message.kind) {
      case "open":
        return this.#open(message.protocol, message.endpoints);
      case "ask": {
        const { id, question, limitMs } = message;
        if (this.#members === undefined) return this.#unusable("a question came before the endpoints");
        this.#members.ask(question, limitMs, (answer) => this.#send({ kind: "answer", id, answer }));
        return true;
      }
    }
  }

  close(): void {
    this.#members?.close();
  }

  #open(protocol: number, endpoints: Endpoints): boolean {
    if (protocol !== LINK_PROTOCOL) {
      return this.#unusable(`the daemon speaks version ${protocol}, and the link ${LINK_PROTOCOL}`);
    }
    try {
      this.#members = this.#parts.connect(endpoints);
    } catch (error) {
      return this.#unusable(error instanceof Error ? error.message : String(error));
    }
    this.#send({ kind: "opened", protocol: LINK_PROTOCOL });
    return true;
  }

  #unusable(reason: string): false {
    this.#send({ kind: "unusable", reason });
    return false;
  }

  #send(message: FromLink): void {
    this.#parts.send(encodeLine(message));
  }
}
