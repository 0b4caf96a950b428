// Original file: proto/clusterfunk/shard.proto


export interface WireNodes {
  'nodeId'?: (number);
  'nodeName'?: (string);
  'workerId'?: (number);
}

export interface WireNodes__Output {
  'nodeId': (number);
  'nodeName': (string);
  'workerId': (number);
}
