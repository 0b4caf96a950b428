// Original file: proto/funk/v1/node.proto


export interface Notice {
  'kind'?: (string);
  'text'?: (string);
}

export interface Notice__Output {
  'kind': (string);
  'text': (string);
}
