// Original file: proto/funk/v1/node.proto


export interface ForceLeaveRequest {
  'name'?: (string);
  'prune'?: (boolean);
}

export interface ForceLeaveRequest__Output {
  'name': (string);
  'prune': (boolean);
}
