/** A standalone etcd in the place of Raft, as options. */
import type { z } from 'zod';
import type { NodeConfig } from '../node-config.ts';
import type { OptionMeta } from './option-meta.ts';
import type { OptionKey, OptionValues } from './option-table.ts';
import { duration, httpAddresses, word } from './option-values.ts';

export interface EtcdValues {
  /** Empty: the nodes agree among themselves. */
  readonly etcdEndpoints: readonly string[];
  readonly etcdPrefix: string | undefined;
  /** Milliseconds. */
  readonly etcdLease: number;
  readonly etcdCaFile: string | undefined;
  readonly etcdCertFile: string | undefined;
  readonly etcdKeyFile: string | undefined;
}

/** Where a standalone etcd is, and how it is used. */
export interface EtcdConfig {
  readonly endpoints: readonly string[];
  readonly prefix: string;
  readonly ttlSeconds: number;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

type EtcdOptions = {
  readonly [Key in keyof EtcdValues]: { readonly schema: z.ZodType<EtcdValues[Key]>; readonly meta: OptionMeta };
};

export function etcdOptions(): EtcdOptions {
  const file = (what: string, fallback: string): OptionMeta => ({
    group: 'Standalone etcd',
    text: what,
    expected: 'a file',
    valueName: 'file',
    fallback,
  });
  return {
    etcdEndpoints: {
      schema: httpAddresses().default([]),
      meta: {
        group: 'Standalone etcd',
        text: 'leave the leader and the shard map to this etcd; no node votes then. The same on all nodes of the cluster',
        expected: 'http://host:port or https://host:port, with commas between several',
        valueName: 'url',
        fallback: 'the nodes agree among themselves',
        isRepeatable: true,
      },
    },
    etcdPrefix: {
      schema: word(/^\/?[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/).optional(),
      meta: {
        group: 'Standalone etcd',
        text: 'all keys lie below this one',
        expected: 'letters, digits, ".", "_" and "-", with "/" between',
        valueName: 'key',
        fallback: '/funknode/<cluster name>',
      },
    },
    etcdLease: {
      schema: duration(2_000, 60_000).default(3_000),
      meta: {
        group: 'Standalone etcd',
        text: 'how long etcd keeps the seat of a leader that it does not hear: after a death nobody leads for so long',
        expected: 'whole seconds from 2s to 1m',
        valueName: 'duration',
        fallback: '3s',
      },
    },
    etcdCaFile: {
      schema: word(/^.+$/).optional(),
      meta: file('whom to believe to be that etcd, in PEM', "the system's"),
    },
    etcdCertFile: { schema: word(/^.+$/).optional(), meta: file('show this certificate to that etcd, in PEM', 'none') },
    etcdKeyFile: { schema: word(/^.+$/).optional(), meta: file('the key of that certificate, in PEM', 'none') },
  };
}

export function etcdConfigOf(values: OptionValues): EtcdConfig | undefined {
  if (values.etcdEndpoints.length === 0) return undefined;
  const prefix = values.etcdPrefix ?? `/funknode/${values.clusterName}`;
  return {
    endpoints: values.etcdEndpoints,
    prefix,
    ttlSeconds: Math.ceil(values.etcdLease / 1_000),
    caFile: values.etcdCaFile,
    certFile: values.etcdCertFile,
    keyFile: values.etcdKeyFile,
  };
}

/** What goes with a standalone etcd alone, and what does not go with one. */
export function etcdProblems(
  { etcd }: NodeConfig,
  values: OptionValues,
  placeOf: (key: OptionKey) => string,
): string[] {
  const endpoints = placeOf('etcdEndpoints');
  if (etcd === undefined) {
    // A node that agrees on nothing may have the settings of those that do.
    if (values.etcdEndpoints.length > 0) return [];
    const idle = (['etcdPrefix', 'etcdCaFile', 'etcdCertFile', 'etcdKeyFile'] as const).filter((key) => values[key]);
    return idle.map((key) => `${placeOf(key)}: only with ${endpoints}`);
  }
  const problems = (['bootstrap', 'bootstrapExpect', 'leaseReads'] as const)
    .filter((key) => values[key])
    .map((key) => `${placeOf(key)}: not with ${endpoints}: who comes first to that etcd founds, and no node votes`);
  if (values.etcdLease % 1_000 !== 0)
    problems.push(`${placeOf('etcdLease')}: ${values.etcdLease} ms; etcd counts whole seconds`);
  if ((values.etcdCertFile === undefined) !== (values.etcdKeyFile === undefined))
    problems.push(`${placeOf('etcdCertFile')} and ${placeOf('etcdKeyFile')}: both or none`);
  const isPlain = values.etcdEndpoints.some((endpoint) => endpoint.startsWith('http:'));
  if (isPlain && values.etcdEndpoints.some((endpoint) => endpoint.startsWith('https:')))
    problems.push(`${endpoints}: all by http or all by https`);
  else if (isPlain && (values.etcdCaFile ?? values.etcdCertFile) !== undefined)
    problems.push(`${placeOf('etcdCaFile')}: only with https`);
  return problems;
}
