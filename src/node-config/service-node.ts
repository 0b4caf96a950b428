/** Processes that are in gossip only to be found, or to be found by: service nodes, which publish endpoints, and seeds. */
import type { EndpointName, NodeConfig, NodeOptions } from '../node-config.ts';
import type { OptionKey, OptionValues } from './option-table.ts';
import type { NodeKind } from '../model/node-state.ts';

/** What a seed calls its service, as clusterfunk's does. */
export const SEED_SERVICE = 'seed';

/** What settings of a seed may not be set: it has no use for them, and whoever sets them expects one. */
const NOT_OF_A_SEED: readonly OptionKey[] = [
  'role',
  'serviceName',
  'bootstrap',
  'bootstrapExpect',
  'autoJoin',
  'voters',
  'shards',
  'noShards',
  'lease',
  'clockDrift',
  'ackTimeout',
  'flapHold',
  'restartGrace',
  'etcdEndpoints',
  'livenessInterval',
  'livenessRetries',
  'dataDir',
  'raftEndpoint',
  'raftEndpointAdvertise',
  'managementEndpoint',
  'managementEndpointAdvertise',
  'livenessEndpoint',
  'livenessEndpointAdvertise',
];

/** A service's name makes a non-member of a node whose role is not said. */
export function kindOf(values: OptionValues, given: NodeOptions): NodeKind {
  return values.serviceName !== undefined && given.role === undefined ? 'non-member' : values.role;
}

/** What is opened: a process that agrees on nothing and owns nothing is asked for neither frames of Raft nor echoes. */
export function doorsOf({ serviceName }: OptionValues): ReadonlySet<EndpointName> {
  const always: readonly EndpointName[] = ['serf', 'management', 'http'];
  return new Set(serviceName === undefined ? [...always, 'raft', 'liveness'] : always);
}

export function serviceProblems(config: NodeConfig, placeOf: (key: OptionKey) => string): string[] {
  if (config.serviceName === undefined || config.kind === 'non-member') return [];
  const [service, role] = [placeOf('serviceName'), placeOf('role')];
  return [`${service}: only a non-member is another service than the cluster, and ${role} is ${config.kind}`];
}

/** What comes before the random part of a node id that was not set. */
export function idPrefixOf({ serviceName, isSeed }: Pick<NodeConfig, 'serviceName' | 'isSeed'>): string {
  return isSeed ? 'seed_' : serviceName === undefined ? '' : 'svc_';
}

/**
 * The settings of a seed: gossip alone, and HTTP if that was asked for. It may be the first of all, and stand alone. `keepsSnapshot`: an orderly stop
 * forgets nobody, since whoever restarts a seed has no other list of members.
 */
export function seedConfig(config: NodeConfig, { keepsSnapshot }: { readonly keepsSnapshot: boolean }): NodeConfig {
  const doors: readonly EndpointName[] = config.endpoints.http.isPortSet ? ['serf', 'http'] : ['serf'];
  return {
    ...config,
    kind: 'non-member',
    wantsShards: false,
    serviceName: SEED_SERVICE,
    isSeed: true,
    rejoinAfterLeave: keepsSnapshot || config.rejoinAfterLeave,
    doors: new Set(doors),
  };
}

/** One sentence for each setting that a seed has no use for. */
export function seedProblems(places: ReadonlyMap<OptionKey, string>): string[] {
  return NOT_OF_A_SEED.flatMap((key) => {
    const place = places.get(key);
    return place === undefined ? [] : [`${place}: a seed only gossips, and has no use for it`];
  });
}
