/** A look at the link for a given time: what the control tool does to find a node, and to show what is there. */
import type { Random } from '../base/random.ts';
import { type MdnsInterface, MdnsSocket } from './mdns-socket.ts';
import { ownerOf, SERVICE_TYPE, type ServiceKind } from './records.ts';
import { Schedule } from './schedule.ts';
import { type FoundService, ServiceTable } from './service-table.ts';

export interface BrowseOptions {
  readonly interface: MdnsInterface;
  readonly forMs: number;
  readonly random: Random;
  /** Only this cluster's. Default: everything of the service type. */
  readonly clusterName?: string;
  /** Only this kind. Needs `clusterName`. */
  readonly kind?: ServiceKind;
  /** Ends the look early: true when what was found is enough. */
  readonly isEnough?: (found: readonly FoundService[]) => boolean;
  readonly signal?: AbortSignal;
}

/**
 * What answers within `forMs`, sorted by instance. Rejects with DiscoveryError when mDNS cannot be had; an abort ends the look and
 * resolves with what was found so far.
 */
export async function browse(options: BrowseOptions): Promise<FoundService[]> {
  const table = new ServiceTable(() => true);
  const found = (): FoundService[] =>
    table
      .found()
      .filter((service) => isWanted(service, options))
      .sort(byInstance);
  const enough = new AbortController();
  const socket = await MdnsSocket.open(options.interface, {
    onQuery: () => undefined,
    onResponse: (records) => {
      table.take(records, performance.now());
      if (options.isEnough?.(found()) === true) enough.abort();
    },
    onWarning: () => undefined,
  });
  try {
    const signals = [enough.signal, ...(options.signal === undefined ? [] : [options.signal])];
    await askUntil(socket, table, options, signals);
    return found();
  } finally {
    await socket.close();
  }
}

async function askUntil(
  socket: MdnsSocket,
  table: ServiceTable,
  options: BrowseOptions,
  signals: readonly AbortSignal[],
): Promise<void> {
  const endsAt = performance.now() + options.forMs;
  const schedule = new Schedule(options.random, performance.now());
  const isOver = (): boolean => performance.now() >= endsAt || signals.some(({ aborted }) => aborted);
  while (!isOver()) {
    if (schedule.takeQuery(performance.now())) {
      const details = table.unresolved().map((label) => ({ name: `${label}.${SERVICE_TYPE}`, type: 'SRV' }));
      socket.query([{ name: SERVICE_TYPE, type: 'PTR' }, ...details.slice(0, 8)], []);
    }
    schedule.takeSearched(performance.now());
    await pause(Math.min(endsAt, schedule.next()) - performance.now(), signals);
  }
}

/** Waits `ms`, or less when one of the signals says so. */
function pause(ms: number, signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, Math.max(1, ms));
    for (const signal of signals) signal.addEventListener('abort', end);
  });
}

function isWanted(service: FoundService, { clusterName, kind }: BrowseOptions): boolean {
  if (clusterName === undefined) return true;
  const owner = ownerOf(service.instance, clusterName, service.text);
  return owner !== undefined && (kind === undefined || owner.kind === kind);
}

function byInstance(a: FoundService, b: FoundService): number {
  return a.instance < b.instance ? -1 : 1;
}
