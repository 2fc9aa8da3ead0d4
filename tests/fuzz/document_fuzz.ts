import { RpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { NO_SIZES } from "../../src/storaged/model/pool_definition.ts";
import { formatPool, parsePool } from "../../src/storaged/xml/pool_xml.ts";
import { formatVolume, parseVolume } from "../../src/storaged/xml/volume_xml.ts";
import { Random } from "../support/random.ts";

/** Pools of several kinds, with most of what a document may have. */
export const POOL_DOCUMENTS: readonly string[] = [
  "<pool type='dir'><name>p</name><target><path>/p</path></target></pool>",
  "<pool type='netfs' xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'><name>p</name>" +
  "<uuid>00010203-0405-0607-0809-0a0b0c0d0e0f</uuid><capacity unit='G'>1</capacity><source><host name='h'/>" +
  "<dir path='/x'/><format type='nfs'/><protocol ver='4'/></source><target><path>/t</path><permissions>" +
  "<mode>0755</mode><owner>-1</owner></permissions></target><refresh><volume allocation='capacity'/></refresh>" +
  "<fs:mount_opts><fs:option name='sync'/></fs:mount_opts></pool>",
  "<pool type='fs'><name>f</name><features><cow state='no'/></features><source><device path='/dev/x'/>" +
  "<format type='ext4'/></source><target><path>/f/../g//h</path></target></pool>",
  "<pool type='iscsi'><name>i</name><source><host name='h' port='3260'/><device path='iqn.x'/>" +
  "<initiator><iqn name='iqn.y'/></initiator><auth type='chap' username='u'><secret usage='s'/></auth>" +
  "<vendor name='v'/><product name='p'/></source><target><path>/dev/disk/by-path</path></target></pool>",
  "<pool type='scsi'><name>s</name><source><adapter type='fc_host' parent='scsi_host5' " +
  "wwnn='20000000c9831b4b' wwpn='10000000c9831b4b'/></source><target><path>/dev</path></target></pool>",
  "<pool type='logical'><name>vg</name><source><device path='/dev/a'/><device path='/dev/b'/>" +
  "<name>vg</name><format type='lvm2'/></source><target><path>/dev/vg</path></target></pool>",
];

/** Volumes of several kinds. */
export const VOLUME_DOCUMENTS: readonly string[] = [
  "<volume><name>v</name><capacity>1</capacity></volume>",
  "<volume type='file'><name>v.qcow2</name><key>/p/v</key><source></source><capacity unit='GiB'>5</capacity>" +
  "<allocation unit='KB'>294912</allocation><physical>1</physical><target><path>/p/v</path>" +
  "<format type='qcow2'/><permissions><mode>0644</mode><owner>0</owner><group>107</group><label>l</label>" +
  "</permissions><compat>1.1</compat><nocow/><clusterSize unit='KiB'>128</clusterSize>" +
  "<features><lazy_refcounts/><extended_l2/></features></target><backingStore><path>/b</path>" +
  "<format type='raw'/><permissions><mode>0600</mode></permissions></backingStore></volume>",
  "<volume><name>luks</name><capacity unit='b'>9</capacity><target><format type='raw'/>" +
  "<encryption format='luks'><secret type='passphrase' uuid='00010203-0405-0607-0809-0a0b0c0d0e0f'/>" +
  "<cipher name='aes' size='256' mode='cbc' hash='sha256'/><ivgen name='plain64' hash='sha256'/>" +
  "</encryption></target></volume>",
];

/** What is put into a document: what XML treats as special, numbers at limits, names that mean something. */
const PIECES: readonly string[] = [
  "<",
  ">",
  "/>",
  "&",
  "'",
  '"',
  "&#0;",
  "&#x10ffff;",
  "&lol;",
  "<![CDATA[",
  "]]>",
  "<!--",
  "<!DOCTYPE a [<!ENTITY b 'c'>]>",
  "<?x y?>",
  "\0",
  "\ud800",
  "\u00e4",
  "-1",
  "18446744073709551615",
  "18446744073709551616",
  "1e9",
  "0x10",
  " unit='YiB'",
  "unit=''",
  "../../etc",
  "/",
  "<name>a/b</name>",
  "<capacity>0</capacity>",
  "<target>",
  "</target>",
  "<format type='none'/>",
];

/** A document with one to five places spoilt: cut out, put in, doubled or torn off. */
export function spoil(document: string, random: Random): string {
  let text = document;
  for (let left = 1 + random.below(5); left > 0; left--) {
    const at = random.below(text.length + 1);
    const end = at + random.below(24);
    switch (random.below(5)) {
      case 0:
        text = text.slice(0, at) + text.slice(end);
        break;
      case 1:
        text = text.slice(0, at) + random.pick(PIECES) + text.slice(at);
        break;
      case 2:
        text = text.slice(0, end) + text.slice(at);
        break;
      case 3:
        text = text.slice(0, at) + random.pick(PIECES) + text.slice(end);
        break;
      default:
        if (random.once(8)) text = text.slice(0, at);
    }
  }
  return text;
}

/** What came of spoilt documents. */
export interface DocumentReport {
  readonly accepted: number;
  readonly refused: number;
}

/**
 * Reads spoilt documents of pools and volumes. One that is taken is written, read again, and says the same.
 *
 * @throws Error for whatever is neither an answer nor a refusal with a text
 */
export function fuzzDocuments(seed: number, documents: number): DocumentReport {
  const random = new Random(seed);
  const pool = parsePool(POOL_DOCUMENTS[0] as string);
  const readPool = (text: string) => formatPool(parsePool(text), NO_SIZES);
  const readVolume = (text: string) => formatVolume(pool, parseVolume(pool, text, "optional-with-backing"));
  let accepted = 0;
  for (let round = 0; round < documents; round++) {
    const [seeds, read] = random.once(2)
      ? [POOL_DOCUMENTS, readPool] as const
      : [VOLUME_DOCUMENTS, readVolume] as const;
    const text = spoil(random.pick(seeds), random);
    try {
      if (readAgain(read, text)) accepted++;
    } catch (error) {
      throw new Error(`Seed ${seed}, document ${round}: ${JSON.stringify(text)}`, { cause: error });
    }
  }
  return { accepted, refused: documents - accepted };
}

/** @returns whether it was taken */
function readAgain(read: (text: string) => string, text: string): boolean {
  let written: string;
  try {
    written = read(text);
  } catch (error) {
    if (error instanceof RpcFailure && error.message !== "" && error.code > 0) return false;
    throw error;
  }
  // A uuid that was not said is made anew each time.
  const plain = (document: string) => document.replace(/<uuid>.*<\/uuid>/, "");
  const again = read(written);
  if (plain(again) !== plain(written)) throw new Error(`Written as ${written}, and then as ${again}`);
  return true;
}
