/** The records by which Serf agents find each other with `-discover=NAME`, as hashicorp's mDNS library writes them. wire-gossip.md 21. */
import { isIP } from 'node:net';
import type { Endpoint } from '../model/endpoint.ts';
import type { Question } from './announcement.ts';
import { ALL_SERVICE_TYPES, type DnsRecord, HOST_TTL_S } from './records.ts';

export interface SerfIdentity {
  /** What agents are told with `-discover`. */
  readonly name: string;
  /** The node's name in gossip. */
  readonly node: string;
  /** The machine's name; agents add no `.local`. */
  readonly host: string;
  /** Where gossip is joined. */
  readonly endpoint: Endpoint;
}

export function serfService(name: string): string {
  return `_serf_${name}._tcp.local`;
}

/** PTR, SRV, address, TXT, in this order: the stock querier takes nothing from less than all four. */
export function serfRecords({ name, node, host, endpoint }: SerfIdentity): DnsRecord[] {
  const service = serfService(name);
  const instance = `${node}.${service}`;
  const ttl = HOST_TTL_S;
  const data = { target: host, port: endpoint.port, priority: 10, weight: 1 };
  return [
    { type: 'PTR', name: service, ttl, data: instance },
    { type: 'SRV', name: instance, ttl, data },
    { type: isIP(endpoint.host) === 6 ? 'AAAA' : 'A', name: host, ttl, data: endpoint.host },
    { type: 'TXT', name: instance, ttl, data: [`Serf '${name}' cluster`] },
  ];
}

/** What an agent answers to one question; nothing when it is not about us. */
export function serfAnswers(identity: SerfIdentity, { name: asked, type }: Question): DnsRecord[] {
  const records = serfRecords(identity);
  const [pointer, service, address, text] = records as [DnsRecord, DnsRecord, DnsRecord, DnsRecord];
  const wants = (other: string): boolean => type === other || type === 'ANY';
  const isName = (name: string): boolean => name.toLowerCase() === asked.toLowerCase();
  if (isName(ALL_SERVICE_TYPES) && wants('PTR'))
    return [{ type: 'PTR', name: ALL_SERVICE_TYPES, ttl: HOST_TTL_S, data: pointer.name }];
  if (isName(pointer.name) && wants('PTR')) return records;
  if (isName(service.name)) {
    if (wants('SRV')) return [service, address, text];
    return type === 'TXT' ? [text] : wants(address.type) ? [address] : [];
  }
  return isName(address.name) && wants(address.type) ? [address] : [];
}

/** Whom a response names: the gossip endpoints of every instance whose port and address are both in it. */
export function serfPeersIn(records: readonly DnsRecord[], name: string): Endpoint[] {
  const suffix = `.${serfService(name)}`.toLowerCase();
  const hosts = new Map<string, string>();
  for (const { type, name: host, data } of records)
    if (type === 'A' || type === 'AAAA') hosts.set(host.toLowerCase(), data);
  return records.flatMap((record) => {
    if (record.type !== 'SRV' || record.ttl === 0 || !record.name.toLowerCase().endsWith(suffix)) return [];
    const host = hosts.get(record.data.target.toLowerCase());
    return host === undefined ? [] : [{ host, port: record.data.port }];
  });
}
