// Original file: proto/funk/v1/node.proto


export interface KeyCount {
  'key'?: (string);
  'members'?: (number);
}

export interface KeyCount__Output {
  'key': (string);
  'members': (number);
}
