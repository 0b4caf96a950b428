/** What tags an operator may not give, and what is too much. */
import { formatEndpoint } from '../model/endpoint.ts';
import {
  TAG_CLUSTER_ID,
  TAG_EP_HTTP,
  TAG_EP_LIVENESS,
  TAG_EP_MANAGEMENT,
  TAG_EP_RAFT,
  TAG_EP_SERF,
  TAG_ROLE,
  TAG_SERVICE_NAME,
  TAG_STAMP,
} from '../model/tags.ts';
import type { EndpointName, NodeConfig } from '../node-config.ts';
import { serfConfig } from '../serf/config.ts';
import { checkTags } from '../wire/serf/tag-set.ts';
import type { OptionKey } from './option-table.ts';

const ENDPOINT_TAGS: Readonly<Record<EndpointName, string>> = {
  serf: TAG_EP_SERF,
  raft: TAG_EP_RAFT,
  management: TAG_EP_MANAGEMENT,
  liveness: TAG_EP_LIVENESS,
  http: TAG_EP_HTTP,
};
const OWN_TAGS = [TAG_SERVICE_NAME, TAG_CLUSTER_ID, TAG_ROLE, TAG_STAMP, ...Object.values(ENDPOINT_TAGS)];

/** For the settings that are not of an address. */
const NOWHERE = { name: 'a', advertise: { host: '127.0.0.1', port: 1 } };

/** Reserved names, and tags that cannot fit however long the ports turn out to be. */
export function tagProblems(
  config: NodeConfig,
  placeOf: (key: OptionKey) => string,
  nameOf: (key: OptionKey) => string,
): string[] {
  const own = new Map<string, string>([
    [TAG_SERVICE_NAME, config.serviceName ?? config.clusterName],
    [TAG_CLUSTER_ID, '0'.repeat(22)],
    [TAG_ROLE, config.kind],
    [TAG_STAMP, '0'.repeat(16)],
  ]);
  for (const name of config.doors) {
    const { advertise } = config.endpoints[name];
    own.set(ENDPOINT_TAGS[name], formatEndpoint({ host: advertise.host, port: advertise.port || 65_535 }));
  }
  const reserved = [...config.tags.keys()].filter((key) => OWN_TAGS.includes(key) || key.startsWith('fn.'));
  const problems = reserved.map((key) => `${placeOf('tag')}: "${key}" is set by the node itself`);
  const limit = serfConfig({ ...config.tuning.serf, swim: NOWHERE }).tagsBytesMax;
  const given = [...config.tags].filter(([key]) => !reserved.includes(key));
  const problem = checkTags(new Map([...own, ...given]), limit);
  if (problem === undefined) return problems;
  return [...problems, `${placeOf('tag')}: ${problem} (endpoints and ${nameOf('clusterName')} count too)`];
}
