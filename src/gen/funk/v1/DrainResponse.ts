// Original file: proto/funk/v1/node.proto


export interface DrainResponse {
  'nodeId'?: (string);
}

export interface DrainResponse__Output {
  'nodeId': (string);
}
