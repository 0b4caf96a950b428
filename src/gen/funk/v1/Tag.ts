// Original file: proto/funk/v1/node.proto


export interface Tag {
  'name'?: (string);
  'value'?: (string);
}

export interface Tag__Output {
  'name': (string);
  'value': (string);
}
