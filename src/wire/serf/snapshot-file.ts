/** Serf's snapshot file as text: one record a line, later ones override earlier ones. Pure. wire-gossip.md 19.1. */
import { type Endpoint, formatEndpoint, parseEndpoint } from '../../model/endpoint.ts';
import { LAMPORT_TIME_MAX } from './messages.ts';

/** The newest Lamport times that were seen; 0 for never. */
export interface LamportTimes {
  readonly member: number;
  readonly event: number;
  readonly query: number;
}

export interface SerfSnapshot {
  /** Who was present, by name. */
  readonly members: ReadonlyMap<string, Endpoint>;
  readonly times: LamportTimes;
  /** Lines that nobody understands. */
  readonly skipped: number;
}

export type SnapshotRecord =
  | { readonly kind: 'alive'; readonly name: string; readonly address: Endpoint }
  | { readonly kind: 'not-alive'; readonly name: string }
  | { readonly kind: 'clock' | 'event-clock' | 'query-clock'; readonly time: number }
  | { readonly kind: 'leave' };

/** With its line end. */
export function snapshotLine(record: SnapshotRecord): string {
  switch (record.kind) {
    case 'alive':
      return `alive: ${record.name} ${formatEndpoint(record.address)}\n`;
    case 'not-alive':
      return `not-alive: ${record.name}\n`;
    case 'leave':
      return 'leave\n';
    default:
      return `${record.kind}: ${record.time}\n`;
  }
}

/** All that is worth keeping, in few lines. */
export function wholeSnapshot(members: ReadonlyMap<string, Endpoint>, times: LamportTimes): string {
  const lines = [...members].map(([name, address]) => snapshotLine({ kind: 'alive', name, address }));
  lines.push(snapshotLine({ kind: 'clock', time: times.member }));
  lines.push(snapshotLine({ kind: 'event-clock', time: times.event }));
  lines.push(snapshotLine({ kind: 'query-clock', time: times.query }));
  return lines.join('');
}

/** A last line without its end was torn off and does not count. After a `leave` nothing is remembered unless one rejoins all the same. */
export function readSnapshot(
  text: string,
  { rejoinsAfterLeave }: { readonly rejoinsAfterLeave: boolean },
): SerfSnapshot {
  const members = new Map<string, Endpoint>();
  const times = { member: 0, event: 0, query: 0 };
  let skipped = 0;
  for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
    const record = recordOf(line);
    if (record === undefined) {
      if (line !== '' && !line.startsWith('#') && !line.startsWith('coordinate: ')) skipped += 1;
    } else if (record.kind === 'alive') members.set(record.name, record.address);
    else if (record.kind === 'not-alive') members.delete(record.name);
    else if (record.kind !== 'leave') times[FIELDS[record.kind]] = record.time;
    else if (!rejoinsAfterLeave) {
      members.clear();
      times.member = 0;
      times.event = 0;
      times.query = 0;
    }
  }
  return { members, times, skipped };
}

const FIELDS = { clock: 'member', 'event-clock': 'event', 'query-clock': 'query' } as const;

function recordOf(line: string): SnapshotRecord | undefined {
  if (line === 'leave') return { kind: 'leave' };
  const [kind = '', rest = ''] = line.split(/: (.*)/s);
  if (kind === 'alive') {
    // A name may hold spaces; an address may not.
    const at = rest.lastIndexOf(' ');
    const address = at > 0 ? parseEndpoint(rest.slice(at + 1)) : undefined;
    return address === undefined ? undefined : { kind, name: rest.slice(0, at), address };
  }
  if (kind === 'not-alive') return rest === '' ? undefined : { kind, name: rest };
  if (kind !== 'clock' && kind !== 'event-clock' && kind !== 'query-clock') return undefined;
  const time = /^\d{1,16}$/.test(rest) ? Number(rest) : Number.NaN;
  return time <= LAMPORT_TIME_MAX ? { kind, time } : undefined;
}
