// Original file: proto/funk/v1/node.proto


export interface OwnsRequest {
  'shard'?: (number);
}

export interface OwnsRequest__Output {
  'shard': (number);
}
