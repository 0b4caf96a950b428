// Original file: proto/funk/v1/node.proto


export interface NodeWeight {
  'nodeId'?: (string);
  'weight'?: (number | string);
}

export interface NodeWeight__Output {
  'nodeId': (string);
  'weight': (number);
}
