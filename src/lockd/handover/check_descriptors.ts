import { F_SETFD, FD_CLOEXEC, SO_ACCEPTCONN } from "../../os/constants.ts";
import { strerror } from "../../os/errno.ts";
import type { FileSys, SocketSys } from "../../os/sys.ts";
import { handedDescriptor } from "../lockspace/lock_record.ts";
import { OWN_KEY } from "../restart/document_format.ts";
import { RestartStateError } from "../restart/restart_state_error.ts";
import type { RestartState, ServerState } from "../restart/state.ts";

type CheckSys = Pick<FileSys, "fcntl"> & Pick<SocketSys, "socketOption">;

/**
 * Checks that this process has the descriptors of a state, and that sockets are sockets. From then on each is
 * closed when another program is executed: that is the cheapest question whether it is open, and there are
 * tens of thousands.
 *
 * @throws RestartStateError naming the first field whose descriptor is not what it has to be
 */
export function checkDescriptors(sys: CheckSys, state: RestartState): void {
  const open = (field: string, fd: number) => {
    // Of a file of another user's FUSE file system its status would be refused.
    const result = sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (result < 0) throw new RestartStateError(field, "an open descriptor", `${fd}: ${strerror(-result)}`);
  };
  const socket = (field: string, fd: number, listening: boolean) => {
    open(field, fd);
    if (sys.socketOption(fd, SO_ACCEPTCONN) === (listening ? 1 : 0)) return;
    const wanted = listening ? "a listening socket" : "a connected socket";
    throw new RestartStateError(field, wanted, `${fd}, which is none`);
  };
  const server = (name: string, { listeners, clients }: ServerState) => {
    const at = `daemon.servers.${name}`;
    for (const { fd } of listeners) socket(`${at}.services`, fd, true);
    clients.forEach(({ fd, extension }, index) => {
      const field = `${at}.clients[${index}]`;
      socket(`${field}.sock.fd`, fd, false);
      if (extension !== undefined && extension.pidfd >= 0) open(`${field}.${OWN_KEY}.pidfd`, extension.pidfd);
    });
  };
  const { virtlockd, admin } = state.servers;
  server("virtlockd", virtlockd);
  if (admin !== undefined) server("admin", admin);
  state.lockspaces.forEach(({ path, resources }, index) => {
    const at = path === "" ? "defaultLockspace" : `lockspaces[${index - 1}]`;
    resources.forEach(({ handle }, place) => {
      const fd = handedDescriptor(handle);
      // What an earlier life has left of a lock that is missing may be without one.
      if (fd >= 0) open(`${at}.resources[${place}].fd`, fd);
    });
  });
  const { dying = [], watched = [], parked = [], kept = [] } = state.extension ?? {};
  dying.forEach(({ pidfd }, index) => open(`${OWN_KEY}.dying[${index}].pidfd`, pidfd));
  watched.forEach(({ pidfd }, index) => open(`${OWN_KEY}.watched[${index}].pidfd`, pidfd));
  parked.forEach((fd, index) => open(`${OWN_KEY}.parked[${index}]`, fd));
  kept.forEach(({ fd }, index) => open(`${OWN_KEY}.kept[${index}].fd`, fd));
}
