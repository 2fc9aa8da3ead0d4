import { AdminLink, type LinkSys, RefusedError, UnreachableError } from "../../chassis/cli/admin_link.ts";
import { listOf, type Shape } from "../../base/shape.ts";
import type { XdrWriter } from "../../chassis/wire/xdr_writer.ts";
import { VIRTLOCKD } from "../identity/identity.ts";
import { RELEASED } from "../status/document_shapes.ts";
import type { ReleaseDocument } from "../status/status_document.ts";
import {
  decodePage,
  encodePageArgs,
  encodeReleaseArgs,
  type Page,
  type ReleaseArgs,
  STATUS_PROGRAM,
  STATUS_VERSION,
  StatusProcedure,
} from "../wire/status_protocol.ts";

/**
 * A connection to the lock daemon's admin socket, for its status program. Methods wait and throw as those of
 * {@link AdminLink}.
 */
export class AdminConnection implements Disposable {
  readonly #link: AdminLink;
  readonly #path: string;

  private constructor(link: AdminLink, path: string) {
    this.#link = link;
    this.#path = path;
  }

  /**
   * Connects to an admin socket.
   *
   * @param timeout for the connection and for each answer, in ms
   * @throws CommandError
   */
  static connect(sys: LinkSys, path: string, timeout?: number): AdminConnection {
    return new AdminConnection(AdminLink.connect(sys, VIRTLOCKD.name, path, timeout), path);
  }

  /** Asks for a document that comes as a whole. */
  document<T>(procedure: number, shape: Shape<T>): T {
    return this.#link.read(this.#page(procedure, "").json, shape);
  }

  /** Asks for a list, page by page. @param shape of each entry */
  list<T>(procedure: number, shape: Shape<T>): T[] {
    const entries: T[] = [];
    let cursor = "";
    do {
      const { json, next } = this.#page(procedure, cursor);
      for (const entry of this.#link.read(json, listOf(shape))) entries.push(entry);
      cursor = next;
    } while (cursor !== "");
    return entries;
  }

  /**
   * Has a lock released by order of this user.
   *
   * @throws RefusedError when the daemon will not
   */
  release(args: ReleaseArgs): ReleaseDocument {
    const page = this.#ask(StatusProcedure.RELEASE, (writer) => encodeReleaseArgs(writer, args));
    return this.#link.read(page.json, RELEASED);
  }

  [Symbol.dispose](): void {
    this.#link[Symbol.dispose]();
  }

  #page(procedure: number, cursor: string): Page {
    try {
      return this.#ask(procedure, (writer) => encodePageArgs(writer, { flags: 0, cursor, limit: 0 }));
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      throw new UnreachableError("odd", `The daemon at ${this.#path} refused: ${error.message}`);
    }
  }

  #ask(procedure: number, encode: (writer: XdrWriter) => void): Page {
    const asked = { program: STATUS_PROGRAM, version: STATUS_VERSION, procedure };
    return this.#link.ask(asked, encode, decodePage);
  }
}
