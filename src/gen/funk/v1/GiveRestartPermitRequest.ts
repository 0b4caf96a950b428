// Original file: proto/funk/v1/node.proto


export interface GiveRestartPermitRequest {
  'holder'?: (string);
}

export interface GiveRestartPermitRequest__Output {
  'holder': (string);
}
