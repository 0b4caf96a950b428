/**
 * Whom Prometheus should scrape, as its HTTP service discovery wants it (`http_sd_configs`): the whole list, each time.
 * One node that is asked names all, so a Prometheus needs to know a single address of the cluster.
 */
import { formatEndpoint, parseEndpoint } from '../model/endpoint.ts';
import type { MemberView, NodeView } from '../model/node-view.ts';
import { ENDPOINT_ALIASES, TAG_ROLE } from '../model/tags.ts';

export interface ScrapeTarget {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

const TAG_EP_METRICS = 'ep.metrics';
/** Kinds of node that may become a label; a tag is a peer's word, and a label value must come from a fixed set. */
const KINDS: readonly string[] = ['voter', 'non-voter', 'non-member'];

/** Every member that is alive and publishes `ep.metrics`, or `ep.http` from which that is answered. */
export function scrapeTargets(view: NodeView): ScrapeTarget[] {
  return view.members.flatMap((member) => {
    const target = member.status === 'alive' ? addressOf(member) : undefined;
    if (target === undefined) return [];
    // Not `role` nor `kind`: our own series have labels of these names, and Prometheus would rename those.
    const kind = member.tags.get(TAG_ROLE) ?? '';
    return [
      {
        targets: [target],
        labels: { cluster: view.clusterName, node: member.name, node_kind: KINDS.includes(kind) ? kind : 'unknown' },
      },
    ];
  });
}

function addressOf(member: MemberView): string | undefined {
  const alias = ENDPOINT_ALIASES[TAG_EP_METRICS];
  const value = member.tags.get(TAG_EP_METRICS) ?? (alias === undefined ? undefined : member.tags.get(alias));
  const endpoint = value === undefined ? undefined : parseEndpoint(value);
  return endpoint === undefined || endpoint.port === 0 ? undefined : formatEndpoint(endpoint);
}
