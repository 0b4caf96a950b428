// Original file: proto/funk/v1/node.proto


export interface KeyMessage {
  'nodeId'?: (string);
  'text'?: (string);
}

export interface KeyMessage__Output {
  'nodeId': (string);
  'text': (string);
}
