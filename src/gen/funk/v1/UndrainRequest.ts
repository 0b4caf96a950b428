// Original file: proto/funk/v1/node.proto


export interface UndrainRequest {
  'nodeId'?: (string);
}

export interface UndrainRequest__Output {
  'nodeId': (string);
}
