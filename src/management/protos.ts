/** The contracts of `proto/`, loaded once per server or client, with the options that their generated types assume. */
import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadSync, type Options, type PackageDefinition } from '@grpc/proto-loader';
import { assert } from '../base/assert.ts';
import type { ClusterLeaderServiceDefinition } from '../gen/clusterpb/ClusterLeaderService.ts';
import type { KvDefinition } from '../gen/funk/v1/Kv.ts';
import type { NodeDefinition } from '../gen/funk/v1/Node.ts';
import type { ClusterManagementDefinition } from '../gen/managepb/ClusterManagement.ts';
import { findProtoFolder } from '../runtime/proto-folder.ts';

export const MANAGEMENT_SERVICE = 'managepb.ClusterManagement';
export const LEADER_SERVICE = 'clusterpb.ClusterLeaderService';
export const NODE_SERVICE = 'funk.v1.Node';
export const KV_SERVICE = 'funk.v1.Kv';

export interface Protos {
  readonly management: ClusterManagementDefinition & ServiceDefinition;
  readonly leader: ClusterLeaderServiceDefinition & ServiceDefinition;
  readonly node: NodeDefinition & ServiceDefinition;
  readonly kv: KvDefinition & ServiceDefinition;
}

const FILES = [
  'clusterfunk/management.proto',
  'clusterfunk/cluster.proto',
  'clusterfunk/shard.proto',
  'funk/v1/node.proto',
  'funk/v1/kv.proto',
];
/** The same as in test/tools/generate-types.mjs. */
const LOADING: Options = { longs: Number, enums: String, defaults: true, oneofs: true };

/** The service definitions. `folder` is that which holds `funk/v1/node.proto`; unless given it is looked for above this file. */
export function loadProtos(folder: string = findProtoFolder()): Protos {
  const loaded = loadSync(FILES, { ...LOADING, includeDirs: [folder] });
  return {
    management: service(loaded, MANAGEMENT_SERVICE) as Protos['management'],
    leader: service(loaded, LEADER_SERVICE) as Protos['leader'],
    node: service(loaded, NODE_SERVICE) as Protos['node'],
    kv: service(loaded, KV_SERVICE) as Protos['kv'],
  };
}

/** The same contracts as reflection tells of them: with the names that the files give their fields. */
export function loadForReflection(folder: string = findProtoFolder()): PackageDefinition {
  return loadSync(FILES, { ...LOADING, keepCase: true, includeDirs: [folder] });
}

function service(loaded: PackageDefinition, name: string): ServiceDefinition {
  const found = loaded[name];
  assert(found !== undefined && !('format' in found), `proto/ declares the service ${name}`);
  return found as ServiceDefinition;
}
