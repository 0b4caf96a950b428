// Original file: proto/funk/v1/node.proto


export interface TakeRestartPermitRequest {
  'holder'?: (string);
  'nodeId'?: (string);
  'leaseMs'?: (number);
}

export interface TakeRestartPermitRequest__Output {
  'holder': (string);
  'nodeId': (string);
  'leaseMs': (number);
}
