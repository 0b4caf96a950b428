// Original file: proto/funk/v1/node.proto


export interface QueryAnswer {
  'from'?: (string);
  'payload'?: (Buffer | Uint8Array | string);
}

export interface QueryAnswer__Output {
  'from': (string);
  'payload': (Buffer);
}
