/** Looking at the link: on the interface that was named, else on this host's usual one and on loopback. */
import { browse } from '../../src/discovery/browse.ts';
import type { FoundService } from '../../src/discovery/service-table.ts';
import { chooseInterface, type HostInterface, thisHost } from '../../src/node-config/host-interface.ts';
import { EXIT_REFUSED, EXIT_USAGE, ExitError } from './exit-codes.ts';
import type { GlobalOptions } from './options.ts';

export interface Look {
  readonly forMs: number;
  /** Management endpoints of one cluster, or everything that there is. */
  readonly wanted: { readonly clusterName: string } | 'everything';
  /** Ends the look at the first find. */
  readonly until: 'first' | 'time is over';
}

/** Sorted by instance. Fails only when no interface can be looked on. */
export async function look(options: GlobalOptions, { forMs, wanted, until }: Look): Promise<readonly FoundService[]> {
  const enough = new AbortController();
  const looks = interfacesFor(options).map((on) =>
    browse({
      interface: on,
      forMs,
      random: { next: () => Math.random() },
      signal: enough.signal,
      ...(wanted === 'everything' ? {} : { clusterName: wanted.clusterName, kind: 'mgmt' as const }),
      isEnough: (found) => {
        if (until === 'first' && found.length > 0) enough.abort();
        return enough.signal.aborted;
      },
    }),
  );
  const results = await Promise.allSettled(looks);
  const found = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined && results.every((result) => result.status === 'rejected')) {
    throw new ExitError(EXIT_REFUSED, `mDNS cannot be asked: ${(failure.reason as Error).message}`, {
      cause: failure.reason,
    });
  }
  const byInstance = new Map(found.map((service) => [service.instance, service]));
  return [...byInstance.values()].sort((a, b) => (a.instance < b.instance ? -1 : 1));
}

function interfacesFor(options: GlobalOptions): readonly HostInterface[] {
  const host = thisHost();
  const chosen = chooseInterface(options.interface, host);
  if (typeof chosen === 'string') throw new ExitError(EXIT_USAGE, `--interface ${options.interface ?? ''}: ${chosen}`);
  if (options.interface !== undefined) return [chosen];
  // Nodes that were started to be tried out stand on loopback alone.
  const loopback = chooseInterface('127.0.0.1', host);
  return typeof loopback === 'string' || loopback.address === chosen.address ? [chosen] : [chosen, loopback];
}
