/** The DNS records by which a node is found: clusterfunk's service type, its names, and what they hold. */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import type { Endpoint } from '../model/endpoint.ts';

/** `serf` is where gossip is joined, `mgmt` where management is called. */
export type ServiceKind = 'serf' | 'mgmt';

export const SERVICE_TYPE = '_clusterfunk._udp.local';
/** The name under which a link's service types are counted up (RFC 6763 §9). */
export const ALL_SERVICE_TYPES = '_services._dns-sd._udp.local';

/** Records that name a service live long, those that name a host short (RFC 6762 §10). */
export const SERVICE_TTL_S = 4500;
export const HOST_TTL_S = 120;
/** What asks from another port than 5353 is a plain resolver: it shall not keep what it hears (RFC 6762 §6.7). */
export const LEGACY_TTL_S = 10;

export type DnsRecord = PointerRecord | ServiceRecord | TextRecord | AddressRecord;

interface PointerRecord {
  readonly type: 'PTR';
  readonly name: string;
  /** Seconds. */
  readonly ttl: number;
  readonly data: string;
}

export interface ServiceRecord {
  readonly type: 'SRV';
  readonly name: string;
  readonly ttl: number;
  readonly data: SrvData;
  /** The cache-flush bit: what was said before under this name and type is over. */
  readonly flush?: boolean;
}

export interface TextRecord {
  readonly type: 'TXT';
  readonly name: string;
  readonly ttl: number;
  readonly data: readonly string[];
  readonly flush?: boolean;
}

export interface AddressRecord {
  readonly type: 'A' | 'AAAA';
  readonly name: string;
  readonly ttl: number;
  readonly data: string;
  readonly flush?: boolean;
}

export interface SrvData {
  readonly target: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

export interface Identity {
  readonly clusterName: string;
  readonly nodeId: string;
}

/** What one endpoint of a node puts on the link. */
export interface ServiceRecords {
  readonly pointer: DnsRecord;
  readonly service: DnsRecord;
  readonly text: DnsRecord;
  /** Absent when the host is a DNS name: its own servers know its addresses. */
  readonly address: DnsRecord | undefined;
}

/** `<cluster>_<kind>_<id>`, one label of at most 63 bytes. */
export function instanceLabel(identity: Identity, kind: ServiceKind): string {
  return `${identity.clusterName}_${kind}_${identity.nodeId}`;
}

/** The label in front of our service type; undefined for another name. */
export function labelOf(name: string): string | undefined {
  const suffix = `.${SERVICE_TYPE}`;
  if (!name.toLowerCase().endsWith(suffix) || name.length === suffix.length) return undefined;
  return name.slice(0, -suffix.length);
}

/**
 * Who announces `label`, when it belongs to the cluster. Names may hold underscores, so `x_serf_serf_a` is node `serf_a` of `x`
 * or node `a` of `x_serf`: the TXT record of our own kind says which; without it the prefix must do, as in clusterfunk.
 */
export function ownerOf(
  label: string,
  clusterName: string,
  text: readonly string[],
): { readonly kind: ServiceKind; readonly nodeId: string } | undefined {
  const saidCluster = text.find((line) => line.startsWith('cluster='))?.slice('cluster='.length);
  if (saidCluster !== undefined && saidCluster !== clusterName) return undefined;
  for (const kind of ['serf', 'mgmt'] as const) {
    const prefix = `${clusterName}_${kind}_`;
    if (label.startsWith(prefix) && label.length > prefix.length) return { kind, nodeId: label.slice(prefix.length) };
  }
  return undefined;
}

export function recordsOf(identity: Identity, kind: ServiceKind, endpoint: Endpoint): ServiceRecords {
  const name = `${instanceLabel(identity, kind)}.${SERVICE_TYPE}`;
  const family = isIP(endpoint.host);
  const target = family === 0 ? endpoint.host : hostName(identity, endpoint.host);
  const address: AddressRecord = {
    type: family === 6 ? 'AAAA' : 'A',
    name: target,
    ttl: HOST_TTL_S,
    data: endpoint.host,
    flush: true,
  };
  return {
    pointer: { type: 'PTR', name: SERVICE_TYPE, ttl: SERVICE_TTL_S, data: name },
    service: {
      type: 'SRV',
      name,
      ttl: HOST_TTL_S,
      data: { target, port: endpoint.port, priority: 0, weight: 0 },
      flush: true,
    },
    text: {
      type: 'TXT',
      name,
      ttl: SERVICE_TTL_S,
      data: ['txtv=0', 'name=clusterfunk cluster node', `cluster=${identity.clusterName}`],
      flush: true,
    },
    address: family === 0 ? undefined : address,
  };
}

/**
 * A host name of the node's own: several nodes share a machine, and a goodbye for a shared name would take the others along.
 * The digest keeps clusters, nodes and addresses apart that look alike once they are spelled with host name letters only.
 */
function hostName(identity: Identity, address: string): string {
  const digest = createHash('sha256').update(`${identity.clusterName}\0${identity.nodeId}\0${address}`).digest('hex');
  const readable = identity.nodeId.replace(/[^A-Za-z0-9-]/g, '-').slice(0, 40);
  return `${readable}-${digest.slice(0, 8)}.local`;
}
