// Original file: proto/funk/v1/node.proto


export interface ManageKeysRequest {
  'operation'?: (string);
  'key'?: (string);
  'relayFactor'?: (number);
}

export interface ManageKeysRequest__Output {
  'operation': (string);
  'key': (string);
  'relayFactor': (number);
}
