import { host, runOk } from "./command.ts";
import type { Machine } from "./nspawn.ts";
import { textsOf } from "./page.ts";
import { ETCD_PAGE, NAMES, type Place } from "./site_names.ts";

/** `openssl x509` of Debian 12 knows no other beginning than now. */
const SIGN_FROM = `
: >index.txt
printf '[ca]\\ndefault_ca=a\\n[a]\\ndatabase=index.txt\\nnew_certs_dir=.\\ndefault_md=sha256\\nrand_serial=yes\\npolicy=p\\n' >ca.cnf
printf 'unique_subject=no\\n[p]\\ncommonName=supplied\\n' >>ca.cnf
openssl ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca-key.pem -days 30 -startdate "$2" \\
  -extfile "$1.ext" -in "$1.csr" -out "$1-later.pem"
`;

/** Where the certificates of a site are made, as the page has it: a directory of this host. */
export class SiteCertificates {
  readonly #directory: string;

  /** @param directory that is there, and empty */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Makes the authority. */
  async authority(): Promise<void> {
    await this.run(await textThatBegins("openssl req -x509"));
  }

  /** Makes a certificate for every member, host and user, also once more. */
  async sign(): Promise<void> {
    await this.run(await textThatBegins("new() {"));
  }

  /** Runs a script where they are. */
  async run(script: string): Promise<void> {
    await runOk(host, ["sh", "-ec", `cd "$1"\n${script}`, "sh", this.#directory]);
  }

  /** Brings a machine those that are used there, as they are now, into a directory of it. */
  async bring(machine: Machine, place: Place, to: string): Promise<void> {
    const { member, host: name } = NAMES[place];
    const names = ["ca", ...[member, name, "root", "viewer"].flatMap((each) => [each, `${each}-key`])];
    for (const each of names) await this.copy(machine, each, to);
  }

  /** Brings a machine one file. @param name without `.pem` */
  async copy(machine: Machine, name: string, to: string): Promise<void> {
    await machine.copyIn(`${this.#directory}/${name}.pem`, `${to}/${name}.pem`);
  }

  /** Makes one anew that is valid from a time on only. @returns its text */
  async validFrom(name: string, time: Date): Promise<string> {
    const start = time.toISOString().replace(/\.\d+|[-:T]/g, "");
    await runOk(host, ["sh", "-ec", `cd ${this.#directory}; ${SIGN_FROM}`, "sh", name, start]);
    return await Deno.readTextFile(`${this.#directory}/${name}-later.pem`);
  }
}

/** What the page has on certificates and begins so, up to the next empty line. */
async function textThatBegins(beginning: string): Promise<string> {
  const texts = (await textsOf(ETCD_PAGE, "Certificates")).join("\n").split(/\n\n/);
  const found = texts.find((text) => text.startsWith(beginning));
  if (found === undefined) {
    throw new Error(`${ETCD_PAGE}, "Certificates", has nothing that begins "${beginning}"`);
  }
  return found;
}
