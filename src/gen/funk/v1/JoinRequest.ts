// Original file: proto/funk/v1/node.proto


export interface JoinRequest {
  'addresses'?: (string)[];
}

export interface JoinRequest__Output {
  'addresses': (string)[];
}
