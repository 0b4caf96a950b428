/** What the link has told: services, hosts and their addresses, each until its time is over. Fed by strangers, so bounded. */
import type { Endpoint } from '../model/endpoint.ts';
import {
  type AddressRecord,
  type DnsRecord,
  HOST_TTL_S,
  labelOf,
  SERVICE_TYPE,
  type ServiceRecord,
  type TextRecord,
} from './records.ts';

/** A service of our type, as far as it is resolved. */
export interface FoundService {
  /** `<cluster>_<kind>_<id>`. */
  readonly instance: string;
  readonly hostName: string;
  readonly port: number;
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
  readonly text: readonly string[];
  /** Where to connect: the first address, or the host name where DNS must say. */
  readonly endpoint: Endpoint;
}

export interface TableChanges {
  readonly found: readonly FoundService[];
  readonly gone: readonly FoundService[];
}

/** More nodes than one link holds; beyond it newcomers are not taken in. */
const INSTANCES_MAX = 4096;
const HOSTS_MAX = 4096;
const ADDRESSES_PER_HOST_MAX = 8;
/** A day: nobody binds us longer than that, whatever the record says. */
const TTL_MAX_S = 86_400;

interface Instance {
  pointerUntil: number;
  pointerTtlMs: number;
  service: { readonly target: string; readonly port: number; readonly until: number } | undefined;
  text: readonly string[];
  shown: FoundService | undefined;
}

export class ServiceTable {
  /** By the label in front of the service type. */
  readonly #instances: Map<string, Instance> = new Map();
  /** By host name in lower case: address → until when. */
  readonly #hosts: Map<string, Map<string, number>> = new Map();
  readonly #usable: (address: string) => boolean;
  /** Records that were not taken in because a table was full. */
  refused = 0;

  /** `usable`: whether an address that somebody announces can be reached from where we stand. */
  constructor(usable: (address: string) => boolean) {
    this.#usable = usable;
  }

  /** Every resolved service. */
  found(): FoundService[] {
    return [...this.#instances.values()].flatMap(({ shown }) => (shown === undefined ? [] : [shown]));
  }

  /** Labels whose SRV or address is still missing. */
  unresolved(): string[] {
    return [...this.#instances].filter(([, { shown }]) => shown === undefined).map(([label]) => label);
  }

  /** Pointers that need not be told again: those with more than half of their time left (RFC 6762 §7.1). */
  knownPointers(now: number): DnsRecord[] {
    return [...this.#instances]
      .filter(([, held]) => held.shown !== undefined && held.pointerUntil - now > held.pointerTtlMs / 2)
      .filter(([, held]) => held.service !== undefined && held.service.until - now > (HOST_TTL_S * 1000) / 2)
      .map(([label, held]) => ({
        type: 'PTR',
        name: SERVICE_TYPE,
        ttl: Math.floor((held.pointerUntil - now) / 1000),
        data: `${label}.${SERVICE_TYPE}`,
      }));
  }

  take(records: readonly DnsRecord[], now: number): TableChanges {
    const isFlushed = new Set<string>();
    const untilOf = (record: DnsRecord): number => now + Math.min(record.ttl, TTL_MAX_S) * 1000;
    // Pointers first, wherever they stand: what else is told of an instance counts only once a pointer has named it.
    for (const record of records) {
      if (record.type === 'PTR') this.#takePointer(record.name, record.data, untilOf(record), now);
    }
    for (const record of records) {
      if (record.type === 'SRV' || record.type === 'TXT') this.#takeInstance(record, untilOf(record), now);
      else if (record.type !== 'PTR') this.#takeAddress(record, untilOf(record), now, isFlushed);
    }
    return this.#settle(now);
  }

  /** Forgets what is out of date. */
  expire(now: number): TableChanges {
    return this.#settle(now);
  }

  /** When the next thing runs out; Infinity for never. */
  nextExpiry(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { pointerUntil, service } of this.#instances.values()) {
      next = Math.min(next, pointerUntil, service?.until ?? Number.POSITIVE_INFINITY);
    }
    for (const addresses of this.#hosts.values()) for (const until of addresses.values()) next = Math.min(next, until);
    return next;
  }

  #takePointer(name: string, data: string, until: number, now: number): void {
    const label = name.toLowerCase() === SERVICE_TYPE ? labelOf(data) : undefined;
    if (label === undefined) return;
    const held = this.#instance(label, until > now);
    if (held === undefined) return;
    held.pointerUntil = until;
    held.pointerTtlMs = until - now;
  }

  #takeInstance(record: ServiceRecord | TextRecord, until: number, now: number): void {
    const label = labelOf(record.name);
    if (label === undefined) return;
    const held = this.#instance(label, false);
    if (held === undefined) return;
    if (record.type === 'TXT') held.text = record.data;
    else held.service = until > now ? { target: record.data.target, port: record.data.port, until } : undefined;
  }

  #takeAddress(record: AddressRecord, until: number, now: number, isFlushed: Set<string>): void {
    const host = record.name.toLowerCase();
    let addresses = this.#hosts.get(host);
    if (addresses === undefined) {
      if (until <= now) return;
      if (this.#hosts.size >= HOSTS_MAX) {
        this.refused++;
        return;
      }
      addresses = new Map();
      this.#hosts.set(host, addresses);
    }
    // The cache-flush bit: these are all there are (RFC 6762 §10.2). Once per packet, for it may bring several.
    if (record.flush === true && !isFlushed.has(host)) {
      isFlushed.add(host);
      addresses.clear();
    }
    if (until <= now) addresses.delete(record.data);
    else if (addresses.has(record.data) || addresses.size < ADDRESSES_PER_HOST_MAX) addresses.set(record.data, until);
    else this.refused++;
  }

  #instance(label: string, mayAdd: boolean): Instance | undefined {
    const held = this.#instances.get(label);
    if (held !== undefined || !mayAdd) return held;
    if (this.#instances.size >= INSTANCES_MAX) {
      this.refused++;
      return undefined;
    }
    const fresh: Instance = { pointerUntil: 0, pointerTtlMs: 0, service: undefined, text: [], shown: undefined };
    this.#instances.set(label, fresh);
    return fresh;
  }

  /** Drops what has run out and says what that, and what came, changed for the outside. */
  #settle(now: number): TableChanges {
    const found: FoundService[] = [];
    const gone: FoundService[] = [];
    for (const [host, addresses] of this.#hosts) {
      for (const [address, until] of addresses) if (until <= now) addresses.delete(address);
      if (addresses.size === 0) this.#hosts.delete(host);
    }
    for (const [label, held] of this.#instances) {
      if (held.service !== undefined && held.service.until <= now) held.service = undefined;
      const before = held.shown;
      const isKnown = held.pointerUntil > now;
      held.shown = isKnown ? this.#resolve(label, held) : undefined;
      if (!isKnown) this.#instances.delete(label);
      if (held.shown === undefined && before !== undefined) gone.push(before);
      else if (held.shown !== undefined && !isSame(held.shown, before)) found.push(held.shown);
      else held.shown = before;
    }
    return { found, gone };
  }

  #resolve(label: string, held: Instance): FoundService | undefined {
    if (held.service === undefined) return undefined;
    const { target, port } = held.service;
    const addresses = [...(this.#hosts.get(target.toLowerCase())?.keys() ?? [])].filter(this.#usable);
    const ipv4 = addresses.filter((address) => !address.includes(':'));
    const ipv6 = addresses.filter((address) => address.includes(':'));
    // A name outside .local is for DNS to resolve; one inside it is nothing without its address.
    const host = ipv4[0] ?? ipv6[0] ?? (/\.local$/i.test(target) || !target.includes('.') ? undefined : target);
    if (host === undefined) return undefined;
    return { instance: label, hostName: target, port, ipv4, ipv6, text: held.text, endpoint: { host, port } };
  }
}

function isSame(a: FoundService, b: FoundService | undefined): boolean {
  return (
    b !== undefined &&
    a.port === b.port &&
    a.hostName === b.hostName &&
    a.endpoint.host === b.endpoint.host &&
    a.ipv4.join() === b.ipv4.join() &&
    a.ipv6.join() === b.ipv6.join() &&
    a.text.join('\n') === b.text.join('\n')
  );
}
