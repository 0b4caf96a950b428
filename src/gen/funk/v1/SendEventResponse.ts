// Original file: proto/funk/v1/node.proto


export interface SendEventResponse {
  'nodeId'?: (string);
}

export interface SendEventResponse__Output {
  'nodeId': (string);
}
