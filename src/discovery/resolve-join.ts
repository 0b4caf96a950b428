/** From what operators write behind `--join` to addresses that can be called. */
import { lookup, resolveSrv } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../model/endpoint.ts';

export interface ResolvedJoin {
  /** Every address of every name, each once, in the order given. */
  readonly endpoints: readonly Endpoint[];
  /** One sentence for each name that did not resolve. */
  readonly failures: readonly string[];
}

/** How names are resolved; replaced in tests. */
export interface NameService {
  addresses(host: string): Promise<readonly string[]>;
  services(name: string): Promise<readonly { readonly name: string; readonly port: number }[]>;
}

const GOSSIP_PORT = 7946;
/** A name may hold a whole cluster; one that holds more is not asked further. */
const ENDPOINTS_MAX = 1024;
const SRV_NAME = /^_[^.]+\._(?:tcp|udp)\./;

const systemNames: NameService = {
  addresses: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
  services: (name) => resolveSrv(name),
};

/**
 * Resolves `host`, `host:port` and SRV names, all A and AAAA addresses of each. Asks once; trying again is the caller's.
 * Never rejects: what did not resolve is told in `failures`.
 */
export async function resolveJoin(
  addresses: readonly string[],
  names: NameService = systemNames,
): Promise<ResolvedJoin> {
  const failures: string[] = [];
  const resolved = await Promise.all(
    addresses.map(async (address) => {
      try {
        return SRV_NAME.test(address) ? await endpointsOfService(address, names) : await endpointsOf(address, names);
      } catch (error) {
        failures.push(`${address}: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`);
        return [];
      }
    }),
  );
  const unique = new Map(resolved.flat().map((endpoint) => [formatEndpoint(endpoint), endpoint]));
  return { endpoints: [...unique.values()].slice(0, ENDPOINTS_MAX), failures };
}

async function endpointsOf(address: string, names: NameService): Promise<Endpoint[]> {
  const parsed = parseEndpoint(address, GOSSIP_PORT);
  if (parsed === undefined) throw new Error('not host:port');
  const { host, port } = parsed;
  const hosts = isIP(host) > 0 ? [host] : await names.addresses(host);
  return hosts.map((found) => ({ host: found, port }));
}

async function endpointsOfService(name: string, names: NameService): Promise<Endpoint[]> {
  const targets = await names.services(name);
  const lists = await Promise.all(
    targets
      .slice(0, ENDPOINTS_MAX)
      .map((target) => endpointsOf(formatEndpoint({ host: target.name, port: target.port }), names)),
  );
  return lists.flat();
}
