// Original file: proto/funk/v1/node.proto


export interface RemoveNodeResponse {
  'leaderId'?: (string);
}

export interface RemoveNodeResponse__Output {
  'leaderId': (string);
}
