// Original file: proto/funk/v1/node.proto


export interface JoinResponse {
  'nodeId'?: (string);
  'answered'?: (number);
}

export interface JoinResponse__Output {
  'nodeId': (string);
  'answered': (number);
}
