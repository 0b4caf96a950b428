// Original file: proto/funk/v1/node.proto


export interface StepDownResponse {
  'formerLeaderId'?: (string);
  'leaderId'?: (string);
}

export interface StepDownResponse__Output {
  'formerLeaderId': (string);
  'leaderId': (string);
}
