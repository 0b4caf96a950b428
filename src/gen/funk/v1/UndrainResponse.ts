// Original file: proto/funk/v1/node.proto


export interface UndrainResponse {
  'nodeId'?: (string);
}

export interface UndrainResponse__Output {
  'nodeId': (string);
}
