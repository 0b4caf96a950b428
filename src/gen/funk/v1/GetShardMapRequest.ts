// Original file: proto/funk/v1/node.proto


export interface GetShardMapRequest {
  'ownersOnly'?: (boolean);
  'packed'?: (boolean);
}

export interface GetShardMapRequest__Output {
  'ownersOnly': (boolean);
  'packed': (boolean);
}
