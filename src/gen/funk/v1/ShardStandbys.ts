// Original file: proto/funk/v1/node.proto


export interface ShardStandbys {
  'ownerOf'?: (number)[];
}

export interface ShardStandbys__Output {
  'ownerOf': (number)[];
}
