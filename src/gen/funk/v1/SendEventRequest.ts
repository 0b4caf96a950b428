// Original file: proto/funk/v1/node.proto


export interface SendEventRequest {
  'name'?: (string);
  'payload'?: (Buffer | Uint8Array | string);
  'coalesce'?: (boolean);
}

export interface SendEventRequest__Output {
  'name': (string);
  'payload': (Buffer);
  'coalesce': (boolean);
}
