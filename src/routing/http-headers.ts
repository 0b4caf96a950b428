/** Headers of a request or an answer on its way through a router: what belongs to one connection stays there (RFC 9110, 7.6.1). */

export type HeaderValues = Record<string, string | string[]>;

const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** By lower-case name, repeated ones as lists, without those of the connection and those that `Connection` names. */
export function endToEnd(raw: Iterable<readonly [string, string]>): HeaderValues {
  const pairs = [...raw].map(([name, value]) => [name.toLowerCase(), value] as const);
  const named = pairs
    .filter(([name]) => name === 'connection')
    .flatMap(([, value]) => value.split(',').map((token) => token.trim().toLowerCase()));
  const dropped = new Set(named);
  const kept: HeaderValues = {};
  for (const [name, value] of pairs) {
    if (HOP_BY_HOP.has(name) || dropped.has(name)) continue;
    const held = kept[name];
    if (held === undefined) kept[name] = value;
    else kept[name] = typeof held === 'string' ? [held, value] : [...held, value];
  }
  return kept;
}

/** `rawHeaders` and `rawTrailers` of Node: names and values in turn. */
export function* pairsOf(raw: readonly string[]): Generator<readonly [string, string]> {
  for (let at = 0; at + 1 < raw.length; at += 2) yield [raw[at] as string, raw[at + 1] as string];
}
