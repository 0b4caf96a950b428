// Original file: proto/funk/v1/node.proto


export interface QueryEnd {
  'acks'?: (number);
  'responses'?: (number);
}

export interface QueryEnd__Output {
  'acks': (number);
  'responses': (number);
}
