// Original file: proto/funk/v1/node.proto


export interface GiveRestartPermitResponse {
  'leaderId'?: (string);
}

export interface GiveRestartPermitResponse__Output {
  'leaderId': (string);
}
