import { SOCK_SEQPACKET } from "../../os/constants.ts";
import { ECONNREFUSED, ENOENT } from "../../os/errno.ts";
import { SystemError } from "../../os/system_error.ts";
import { HelperLink, type LinkParts, type LinkUser } from "./helper_link.ts";
import { DEPUTY_COMMAND, type HelperCommand, PROTOCOL_VERSION } from "./helper_protocol.ts";
import type { HelperStarter } from "./helper_starter.ts";
import type { UserIds } from "./mount_tree.ts";

/** Name of {@link DeputyStarterParts.socket}, beside the daemon's own sockets. */
export const DEPUTY_SOCKET = "virtlockd-deputy-sock";

/** What a {@link DeputyStarter} needs of the daemon. */
export interface DeputyStarterParts extends LinkParts {
  readonly starter: Pick<HelperStarter, "start">;
  /** This program, without arguments of its own. */
  readonly self: HelperCommand;
  /** Where the service manager starts a deputy for everybody who connects. */
  readonly socket: string;
}

/**
 * Starts helpers that become another user.
 *
 * The daemon itself may not do that where its unit confines it: there the service manager starts them, for
 * whoever connects to a socket of root's. Elsewhere they are children of the daemon's like other helpers.
 */
export class DeputyStarter {
  readonly #parts: DeputyStarterParts;
  readonly #command: HelperCommand;

  constructor(parts: DeputyStarterParts) {
    this.#parts = parts;
    const { self } = parts;
    this.#command = { ...self, argv: [...self.argv, DEPUTY_COMMAND] };
  }

  /**
   * Starts one. A failure that comes later is told over the link.
   *
   * @throws SystemError when it cannot be started
   */
  start(ids: UserIds, user: LinkUser): HelperLink {
    const link = this.#connect(user) ?? this.#spawn(user);
    link.send({ kind: "become", version: PROTOCOL_VERSION, ids });
    return link;
  }

  /** @returns undefined when nobody listens */
  #connect(user: LinkUser): HelperLink | undefined {
    const { sys, socket } = this.#parts;
    const fd = sys.socket(SOCK_SEQPACKET, true);
    if (fd < 0) throw new SystemError("socket", "storage helper", fd);
    const connected = sys.connect(fd, socket);
    if (connected === 0) {
      try {
        return new HelperLink(this.#parts, fd, user);
      } catch (error) {
        sys.close(fd);
        throw error;
      }
    }
    sys.close(fd);
    if (connected !== -ENOENT && connected !== -ECONNREFUSED) {
      throw new SystemError("connect", socket, connected);
    }
    return undefined;
  }

  #spawn(user: LinkUser): HelperLink {
    return HelperLink.started(this.#parts, user, (far) => this.#parts.starter.start(far, this.#command));
  }
}
