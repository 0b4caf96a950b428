// Original file: proto/funk/v1/node.proto


export interface RemoveNodeRequest {
  'nodeId'?: (string);
}

export interface RemoveNodeRequest__Output {
  'nodeId': (string);
}
