// Original file: proto/funk/v1/node.proto


export interface ShardCost {
  'from'?: (number);
  'to'?: (number);
  'cost'?: (number);
}

export interface ShardCost__Output {
  'from': (number);
  'to': (number);
  'cost': (number);
}
