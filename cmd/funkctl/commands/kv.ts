/** `funkctl kv`: keys and values that the cluster agrees on. Values go as they are; what a terminal cannot show is for `--json`. */
import { connectKv, type KeyValue, type KvClient, type KvKeys } from '../../../src/client.ts';
import { withNode } from '../connection.ts';
import { EXIT_REFUSED, EXIT_USAGE, ExitError } from '../exit-codes.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine } from '../output.ts';

export interface GetFlags {
  readonly prefix?: boolean;
  readonly keysOnly?: boolean;
  readonly limit?: number;
  readonly stale?: boolean;
}

export interface CasFlags {
  readonly expect?: string;
  readonly expectRevision?: number;
  readonly expectAbsent?: boolean;
}

export async function getKeys(key: string, flags: GetFlags, options: GlobalOptions): Promise<void> {
  const { revision, kvs, more, count } = await withKv(options, (kv, call) =>
    kv.range(keysOf(key, flags.prefix), {
      ...call,
      limit: flags.limit ?? 0,
      keysOnly: flags.keysOnly ?? false,
      consistency: flags.stale === true ? 'stale' : 'linearizable',
    }),
  );
  if (options.json) return printJson({ revision, kvs: kvs.map(shown), more, count });
  if (kvs.length === 0 && flags.prefix !== true) throw new ExitError(EXIT_REFUSED, `there is no key ${printable(key)}`);
  for (const kv of kvs) {
    if (flags.prefix !== true) printLine(printable(textOf(kv.value)));
    else if (flags.keysOnly === true) printLine(printable(textOf(kv.key)));
    else printLine(`${printable(textOf(kv.key))} ${printable(textOf(kv.value))}`);
  }
  if (more) process.stderr.write(`${kvs.length} of ${count} keys\n`);
}

export async function putKey(key: string, value: string, options: GlobalOptions): Promise<void> {
  const { revision, prev } = await withKv(options, async (kv, call) => kv.put(key, await valueOf(value), call));
  if (options.json) return printJson({ revision, prev: prev && shown(prev) });
  printLine(`Revision ${revision}`);
}

export async function deleteKeys(key: string, { prefix }: GetFlags, options: GlobalOptions): Promise<void> {
  const { revision, deleted } = await withKv(options, (kv, call) => kv.delete(keysOf(key, prefix), call));
  if (options.json) return printJson({ revision, deleted });
  printLine(`${deleted} deleted`);
}

/** Ends with 1 when the key was not as expected. */
export async function compareAndSet(
  key: string,
  value: string,
  { expect, expectRevision: modRevision, expectAbsent }: CasFlags,
  options: GlobalOptions,
): Promise<void> {
  const given = [expect !== undefined, modRevision !== undefined, expectAbsent === true].filter(Boolean).length;
  if (given !== 1)
    throw new ExitError(EXIT_USAGE, 'say what is expected by one of --expect, --expect-revision, --expect-absent');
  const expected = modRevision === undefined ? expect : { modRevision };
  const done = await withKv(options, async (kv, call) => kv.compareAndSet(key, expected, await valueOf(value), call));
  const { revision, succeeded, current } = done;
  if (options.json) printJson({ revision, succeeded, current: current && shown(current) });
  else if (succeeded) printLine(`Revision ${revision}`);
  if (succeeded) return;
  const what = current === undefined ? 'it is not there' : `it was last written by revision ${current.modRevision}`;
  throw new ExitError(EXIT_REFUSED, `${printable(key)} is not as expected: ${what}`);
}

async function withKv<T>(
  options: GlobalOptions,
  work: (kv: KvClient, call: { readonly timeoutMs: number }) => Promise<T>,
): Promise<T> {
  const address = await withNode(options, async (client) => client.address);
  const kv = connectKv(address);
  try {
    return await work(kv, { timeoutMs: options.timeoutMs });
  } finally {
    await kv.close();
  }
}

function keysOf(key: string, isPrefix: boolean | undefined): KvKeys {
  return isPrefix === true ? { prefix: key } : key;
}

/** `-` stands for what comes on stdin. */
async function valueOf(word: string): Promise<string | Uint8Array> {
  if (word !== '-') return word;
  const pieces: Uint8Array[] = [];
  for await (const piece of process.stdin) pieces.push(piece as Uint8Array);
  return Buffer.concat(pieces);
}

/** Bytes as text when they are text; `keyBase64` and `valueBase64` always. */
function shown({ key, value, ...revisions }: KeyValue): Readonly<Record<string, unknown>> {
  return {
    key: textOf(key),
    value: textOf(value),
    ...revisions,
    keyBase64: base64Of(key),
    valueBase64: base64Of(value),
  };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
