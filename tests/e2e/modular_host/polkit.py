"""What an ordinary user of a host gets from storage:///system, by what polkit's rules and a password say."""
import os
import pty
import select
import subprocess
import time

RULE = "/etc/polkit-1/rules.d/10-lab.rules"
VIRSH = "virsh -c storage:///system "


def rule(action=None, result=None):
    """Lets a rule decide, or nothing but the policy."""
    text = ""
    if action is not None:
        text = "polkit.addRule(function(a) { if (a.id == '%s') return polkit.Result.%s; });" % (action, result)
    with open(RULE, "w") as file:
        file.write(text)
    os.chmod(RULE, 0o644)
    # polkitd that is started anew has read its rules when it answers.
    subprocess.run(["systemctl", "restart", "polkit"], check=True)


def without_terminal(command):
    arguments = ["setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "--reset-env", "sh", "-c", command]
    done = subprocess.run(arguments, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def at_terminal(command, password):
    """In a session of alice's, where virsh starts pkttyagent; whenever that waits it gets this password."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("su", ["su", "--login", "alice", "--session-command", command])
    said, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        # What comes right behind the question is thrown away, so it is answered in the silence, again if need be.
        if not select.select([terminal], [], [], 0.3)[0]:
            if said.endswith(b"Password: "):
                os.write(terminal, password)
            continue
        try:
            said += os.read(terminal, 4096)
        except OSError:
            break
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode().replace("\r\n", "\n")


def show(name, result):
    print("##", name, "=", result[0])
    print(result[1], flush=True)


rule()
show("read-write without an agent", without_terminal(VIRSH + "uri"))
show("read-only", without_terminal(VIRSH + "-r pool-list --all"))
show("read-only, to change something", without_terminal(VIRSH + "-r pool-start p"))
show("with the password", at_terminal(VIRSH + "pool-list --all", b"secret\n"))
show("with a wrong password", at_terminal(VIRSH + "pool-list --all", b"wrong\n"))
rule("org.libvirt.unix.manage", "YES")
show("by a rule", without_terminal(VIRSH + "pool-list --all"))
rule("org.libvirt.unix.manage", "NO")
show("against a rule", without_terminal(VIRSH + "pool-list --all"))
rule("org.libvirt.unix.monitor", "NO")
show("read-only against a rule", without_terminal(VIRSH + "-r pool-list --all"))
rule()
