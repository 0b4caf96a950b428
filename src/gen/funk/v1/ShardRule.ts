// Original file: proto/funk/v1/node.proto


export interface ShardRule {
  'from'?: (number);
  'to'?: (number);
  'nodeId'?: (string);
}

export interface ShardRule__Output {
  'from': (number);
  'to': (number);
  'nodeId': (string);
}
