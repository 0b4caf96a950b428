// Original file: proto/clusterfunk/shard.proto


export interface WireShard {
  'id'?: (number);
  'weight'?: (number);
  'nodeId'?: (number);
}

export interface WireShard__Output {
  'id': (number);
  'weight': (number);
  'nodeId': (number);
}
