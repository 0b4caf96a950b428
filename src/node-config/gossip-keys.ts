/** With which keys a node begins to gossip: the one it is given, or those of its keyring file, which it also keeps up to date. */
import { readFileSync } from 'node:fs';
import { decodeBase64 } from '../base/base64.ts';
import { keyProblem } from '../wire/memberlist/sealing.ts';

/** A file of 64 keys has about three kilobytes. */
const FILE_BYTES_MAX = 65_536;
/** As many as a keyring holds. */
const KEYS_MAX = 64;

export interface GossipKeySettings {
  readonly encrypt: Uint8Array | undefined;
  readonly keyringFile: string | undefined;
}

/** The keys, the primary first, none for plain gossip; or what is wrong with the file, in words that go behind its name. */
export function readGossipKeys({ encrypt, keyringFile }: GossipKeySettings): readonly Uint8Array[] | string {
  if (keyringFile === undefined) return encrypt === undefined ? [] : [encrypt];
  let text: string;
  try {
    text = readFileSync(keyringFile, 'utf8');
  } catch (error) {
    return `${keyringFile} cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (text.length > FILE_BYTES_MAX) return `${keyringFile} has more than ${FILE_BYTES_MAX} bytes: that is no keyring`;
  return parseKeyring(text, keyringFile);
}

/** Serf's form: a JSON array of keys in base64, the primary first. */
export function parseKeyring(text: string, path: string): readonly Uint8Array[] | string {
  let listed: unknown;
  try {
    listed = JSON.parse(text);
  } catch {
    // What JSON.parse says quotes the text, and the text is secret.
    return `${path} is no JSON; it is to be a list of keys such as ["<base64>"], the primary one first`;
  }
  if (!Array.isArray(listed)) return `${path} is to be a list of keys such as ["<base64>"], the primary one first`;
  if (listed.length === 0) return `${path} contains no keys; "funkctl keygen" makes one`;
  if (listed.length > KEYS_MAX) return `${path} has ${listed.length} keys; a keyring holds ${KEYS_MAX}`;
  const keys: Uint8Array[] = [];
  for (const [at, entry] of listed.entries()) {
    const key = typeof entry === 'string' ? decodeBase64(entry) : undefined;
    const problem = key === undefined ? 'is not base64' : keyProblem(key);
    if (key === undefined || problem !== undefined) return `${path}: key ${at + 1} cannot be used: ${problem}`;
    keys.push(key);
  }
  return keys;
}
