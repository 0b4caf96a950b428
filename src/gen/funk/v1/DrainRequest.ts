// Original file: proto/funk/v1/node.proto


export interface DrainRequest {
  'nodeId'?: (string);
}

export interface DrainRequest__Output {
  'nodeId': (string);
}
