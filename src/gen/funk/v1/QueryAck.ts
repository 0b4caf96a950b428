// Original file: proto/funk/v1/node.proto


export interface QueryAck {
  'from'?: (string);
}

export interface QueryAck__Output {
  'from': (string);
}
