/**
 * Why a daemon does not go into the background although `-d` asks for it; undefined when it may. A service
 * manager watches the process that it has started: what that starts in turn gets neither its sockets nor what
 * it keeps, and nobody hears that it serves. systemd.exec(5), SYSTEMD_EXEC_PID; sd_listen_fds(3).
 *
 * @param pid of this process
 * @param sockets how many the service manager has handed over
 */
export function foregroundReason(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
  sockets: number,
): string | undefined {
  const isService = env["NOTIFY_SOCKET"] !== undefined && env["SYSTEMD_EXEC_PID"] === String(pid);
  return isService || sockets > 0
    ? 'Option "-d" is not for a service: the service manager runs it in the background already'
    : undefined;
}
