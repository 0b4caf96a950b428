/** `funkctl keygen`: a new key for `--encrypt`, a keyring file or `funkctl keys install`. */
import { randomBytes } from 'node:crypto';
import { printJson, printLine } from '../output.ts';

/** AES-256, as `serf keygen` makes them. */
const KEY_BYTES = 32;

export function printNewKey(asJson: boolean): void {
  const key = randomBytes(KEY_BYTES).toString('base64');
  if (asJson) printJson({ key });
  else printLine(key);
}
