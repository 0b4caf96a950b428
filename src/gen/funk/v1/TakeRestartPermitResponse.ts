// Original file: proto/funk/v1/node.proto


export interface TakeRestartPermitResponse {
  'leaderId'?: (string);
  'holder'?: (string);
  'nodeId'?: (string);
}

export interface TakeRestartPermitResponse__Output {
  'leaderId': (string);
  'holder': (string);
  'nodeId': (string);
}
