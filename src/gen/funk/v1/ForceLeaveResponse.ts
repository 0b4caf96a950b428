// Original file: proto/funk/v1/node.proto


export interface ForceLeaveResponse {
  'nodeId'?: (string);
}

export interface ForceLeaveResponse__Output {
  'nodeId': (string);
}
