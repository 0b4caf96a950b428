// Original file: proto/funk/v1/node.proto


export interface AddNodeResponse {
  'leaderId'?: (string);
}

export interface AddNodeResponse__Output {
  'leaderId': (string);
}
