import { until } from "../../support/until.ts";
import { host, runOk } from "./command.ts";
import { installMissing } from "./debian_packages.ts";
import type { Machine } from "./nspawn.ts";

/** Name of the only member, which its certificate has. */
const MEMBER = "etcd1";

/** Makes certificates of a new authority in the current directory: for the member, for root, for a host. */
const CERTIFICATES = `
new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
openssl req -x509 $new -days 30 -subj /CN=authority -keyout ca-key.pem -out ca.pem
for name in "$@"; do
  openssl req $new -subj "/CN=$name" -keyout "$name-key.pem" -out "$name.csr"
  echo "subjectAltName=DNS:$name" >"$name.ext"
  openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 30 -extfile "$name.ext" \\
    -out "$name.pem"
done
`;

const CONTROL =
  "ETCDCTL_API=3 etcdctl --endpoints=https://etcd1:2379 --cacert=/root/etcd/ca.pem --cert=/root/etcd/root.pem " +
  "--key=/root/etcd/root-key.pem";

/** What etcdctl prints as JSON, as far as it is looked at. */
interface EtcdAnswer {
  readonly kvs?: readonly { readonly value: string; readonly create_revision: number }[];
}

/** What a key has. */
export interface EtcdEntry {
  readonly value: string;
  /** Revision in which it was made: as long as that is the same, the key was there all the time. */
  readonly created: number;
}

/** An etcd of one member in a machine, which only those with a certificate may use, each by its role. */
export class TlsEtcd {
  readonly url = `https://${MEMBER}:2379`;
  readonly #machine: Machine;

  private constructor(machine: Machine) {
    this.#machine = machine;
  }

  /**
   * Starts it. The certificates are in /root/etcd of the machine.
   *
   * @param user a host, as the common name of its certificate has it
   * @param prefix all that it may read and write
   */
  static async start(machine: Machine, user: string, prefix: string): Promise<TlsEtcd> {
    await installMissing(["etcd-server", "etcd-client", "openssl"]);
    const directory = machine.outside("/root/etcd");
    await Deno.mkdir(directory, { mode: 0o700 });
    await runOk(host, [
      "sh",
      "-ec",
      `cd "$1"; shift; ${CERTIFICATES}`,
      "sh",
      directory,
      MEMBER,
      "root",
      user,
    ]);
    for (const program of ["etcd", "etcdctl"]) {
      await machine.copyIn(`/usr/bin/${program}`, `/usr/local/bin/${program}`);
    }
    const flags = [
      "--data-dir=/root/etcd/data",
      "--listen-client-urls=https://127.0.0.1:2379",
      `--advertise-client-urls=https://${MEMBER}:2379`,
      "--client-cert-auth",
      "--trusted-ca-file=/root/etcd/ca.pem",
      `--cert-file=/root/etcd/${MEMBER}.pem`,
      `--key-file=/root/etcd/${MEMBER}-key.pem`,
    ];
    await machine.sh(`
      echo 127.0.0.1 ${MEMBER} >>/etc/hosts
      systemd-run --quiet --unit=etcd --setenv=ETCD_UNSUPPORTED_ARCH=${
      Deno.build.arch === "aarch64" ? "arm64" : ""
    } /usr/local/bin/etcd ${flags.join(" ")}
    `);
    await until("etcd to answer", async () => {
      return (await machine.run(["sh", "-c", `${CONTROL} endpoint health`])).code === 0;
    });
    await machine.sh(`
      ${CONTROL} user add root --no-password
      ${CONTROL} user grant-role root root
      ${CONTROL} role add host
      ${CONTROL} role grant-permission host readwrite --prefix ${prefix}
      ${CONTROL} user add ${user} --no-password
      ${CONTROL} user grant-role ${user} host
      ${CONTROL} auth enable
    `);
    return new TlsEtcd(machine);
  }

  /** Writes a key, as root. */
  async put(key: string, value: string): Promise<void> {
    await this.#machine.sh(`${CONTROL} put ${key}`, { input: value });
  }

  /** A key that is there. */
  async entry(key: string): Promise<EtcdEntry> {
    const said = JSON.parse(await this.#machine.sh(`${CONTROL} get ${key} -w json`)) as EtcdAnswer;
    const [found, ...others] = said.kvs ?? [];
    if (found === undefined || others.length > 0) throw new Error(`Read ${key}: it is not there`);
    return { value: atob(found.value), created: found.create_revision };
  }

  /** Names of the keys below a prefix, in their order. */
  async keys(prefix: string): Promise<string[]> {
    const text = await this.#machine.sh(`${CONTROL} get --prefix --keys-only ${prefix}`);
    return text.split("\n").filter((line) => line !== "");
  }
}
