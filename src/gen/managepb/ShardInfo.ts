// Original file: proto/clusterfunk/management.proto


export interface ShardInfo {
  'nodeId'?: (string);
  'shardCount'?: (number);
  'shardWeight'?: (number);
}

export interface ShardInfo__Output {
  'nodeId': (string);
  'shardCount': (number);
  'shardWeight': (number);
}
