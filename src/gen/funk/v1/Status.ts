// Original file: proto/funk/v1/node.proto

import type { Waiting as _funk_v1_Waiting, Waiting__Output as _funk_v1_Waiting__Output } from '../../funk/v1/Waiting.ts';
import type { Tag as _funk_v1_Tag, Tag__Output as _funk_v1_Tag__Output } from '../../funk/v1/Tag.ts';
import type { RestartPermit as _funk_v1_RestartPermit, RestartPermit__Output as _funk_v1_RestartPermit__Output } from '../../funk/v1/RestartPermit.ts';
import type { Long } from '@grpc/proto-loader';

export interface Status {
  'nodeId'?: (string);
  'stamp'?: (string);
  'boot'?: (number | string | Long);
  'kind'?: (string);
  'clusterName'?: (string);
  'clusterId'?: (string);
  'createdMs'?: (number | string | Long);
  'state'?: (string);
  'stateForMs'?: (number | string | Long);
  'role'?: (string);
  'term'?: (number | string | Long);
  'leaderId'?: (string);
  'commitIndex'?: (number | string | Long);
  'appliedIndex'?: (number | string | Long);
  'voterCount'?: (number);
  'learnerCount'?: (number);
  'memberCount'?: (number);
  'mapVersion'?: (number | string | Long);
  'pendingVersion'?: (number | string | Long);
  'shardCount'?: (number);
  'shardsOwned'?: (number);
  'holdsLease'?: (boolean);
  'waiting'?: (_funk_v1_Waiting | null);
  'endpoints'?: (_funk_v1_Tag)[];
  'room'?: (string);
  'ailment'?: (string);
  'restartPermit'?: (_funk_v1_RestartPermit | null);
  'votersDown'?: (number);
}

export interface Status__Output {
  'nodeId': (string);
  'stamp': (string);
  'boot': (number);
  'kind': (string);
  'clusterName': (string);
  'clusterId': (string);
  'createdMs': (number);
  'state': (string);
  'stateForMs': (number);
  'role': (string);
  'term': (number);
  'leaderId': (string);
  'commitIndex': (number);
  'appliedIndex': (number);
  'voterCount': (number);
  'learnerCount': (number);
  'memberCount': (number);
  'mapVersion': (number);
  'pendingVersion': (number);
  'shardCount': (number);
  'shardsOwned': (number);
  'holdsLease': (boolean);
  'waiting': (_funk_v1_Waiting__Output | null);
  'endpoints': (_funk_v1_Tag__Output)[];
  'room': (string);
  'ailment': (string);
  'restartPermit': (_funk_v1_RestartPermit__Output | null);
  'votersDown': (number);
}
