/**
 * A restart document is not what it has to be. The message names the field, what was wanted and what was
 * found.
 */
export class RestartStateError extends Error {
  override readonly name = "RestartStateError";
  /**
   * Where in the document, e.g. `daemon.servers.virtlockd.clients[3].sock.fd`; "" for the document itself.
   */
  readonly path: string;

  /**
   * @param path place in the document
   * @param wanted e.g. `a descriptor number`
   * @param found what is there, in words; {@link inWords} makes them of a value
   */
  constructor(path: string, wanted: string, found: string, options?: ErrorOptions) {
    super(`${path === "" ? "restart state" : path}: expected ${wanted}, got ${found}`, options);
    this.path = path;
  }
}
