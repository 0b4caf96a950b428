/** What we put on the link: the records of our endpoints, and which of them answer a question. */
import type { Endpoint } from '../model/endpoint.ts';
import {
  ALL_SERVICE_TYPES,
  type DnsRecord,
  type Identity,
  LEGACY_TTL_S,
  recordsOf,
  SERVICE_TTL_S,
  SERVICE_TYPE,
  type ServiceKind,
  type ServiceRecords,
} from './records.ts';

export interface Question {
  readonly name: string;
  readonly type: string;
}

export interface Reply {
  readonly answers: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

export type AnnouncedEndpoints = Readonly<Partial<Record<ServiceKind, Endpoint>>>;

export class Announcement {
  readonly #services: readonly ServiceRecords[];

  constructor(identity: Identity, endpoints: AnnouncedEndpoints) {
    // Endpoints on one host share its record, so that a packet holds it once.
    const addresses = new Map<string, DnsRecord>();
    this.#services = (Object.entries(endpoints) as [ServiceKind, Endpoint | undefined][]).flatMap(
      ([kind, endpoint]) => {
        if (endpoint === undefined) return [];
        const records = recordsOf(identity, kind, endpoint);
        if (records.address === undefined) return [records];
        const address = addresses.get(records.address.name) ?? records.address;
        addresses.set(address.name, address);
        return [{ ...records, address }];
      },
    );
  }

  get isEmpty(): boolean {
    return this.#services.length === 0;
  }

  /** Unasked, as at the start and after a change. */
  everything(): Reply {
    return { answers: this.#services.map(({ pointer }) => pointer), additionals: this.#detailsOf(this.#services) };
  }

  /** Takes everything back. */
  goodbye(): Reply {
    const all = [...this.everything().answers, ...this.everything().additionals];
    return { answers: all.map((record) => ({ ...record, ttl: 0 })), additionals: [] };
  }

  /** Takes back what `next` no longer has; what merely changes is replaced by the flush bit of its successor. */
  goodbyeBefore(next: Announcement): Reply {
    const keyOf = ({ name, type, data }: DnsRecord): string => `${type} ${name} ${type === 'PTR' ? data : ''}`;
    const kept = new Set(next.goodbye().answers.map(keyOf));
    return { answers: this.goodbye().answers.filter((record) => !kept.has(keyOf(record))), additionals: [] };
  }

  /** The answer to `questions`, less what the asker says it knows; undefined when there is nothing to say. */
  answer(questions: readonly Question[], known: readonly DnsRecord[]): Reply | undefined {
    const answers = new Set<DnsRecord>();
    const details = new Set<DnsRecord>();
    for (const { name, type } of questions) {
      const asked = name.toLowerCase();
      const wants = (other: string): boolean => type === other || type === 'ANY';
      if (asked === ALL_SERVICE_TYPES && wants('PTR') && !this.isEmpty) {
        answers.add({ type: 'PTR', name: ALL_SERVICE_TYPES, ttl: SERVICE_TTL_S, data: SERVICE_TYPE });
      }
      for (const service of this.#services) {
        if (asked === SERVICE_TYPE && wants('PTR') && !isKnown(service.pointer, known)) {
          answers.add(service.pointer);
          for (const detail of this.#detailsOf([service])) details.add(detail);
        }
        for (const record of this.#detailsOf([service])) {
          if (record.name.toLowerCase() !== asked || !wants(record.type)) continue;
          answers.add(record);
          if (record.type === 'SRV' && service.address !== undefined) details.add(service.address);
        }
      }
    }
    if (answers.size === 0) return undefined;
    return { answers: [...answers], additionals: [...details].filter((record) => !answers.has(record)) };
  }

  #detailsOf(services: readonly ServiceRecords[]): DnsRecord[] {
    const addresses = new Set(services.flatMap(({ address }) => (address === undefined ? [] : [address])));
    return [...services.flatMap(({ service, text }) => [service, text]), ...addresses];
  }
}

/** For a plain resolver: short-lived, and without the flush bit that only multicast understands (RFC 6762 §6.7). */
export function legacyReply(reply: Reply): Reply {
  const plain = (record: DnsRecord): DnsRecord => {
    const ttl = Math.min(record.ttl, LEGACY_TTL_S);
    return record.type === 'PTR' ? { ...record, ttl } : { ...record, ttl, flush: false };
  };
  return { answers: reply.answers.map(plain), additionals: reply.additionals.map(plain) };
}

function isKnown(pointer: DnsRecord, known: readonly DnsRecord[]): boolean {
  return known.some(
    (record) => record.type === 'PTR' && record.data === pointer.data && record.ttl >= SERVICE_TTL_S / 2,
  );
}
