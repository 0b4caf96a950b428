// Original file: proto/funk/v1/node.proto


export interface ShardRange {
  'from'?: (number);
  'to'?: (number);
}

export interface ShardRange__Output {
  'from': (number);
  'to': (number);
}
