// Original file: proto/clusterfunk/management.proto


export interface RemoveNodeRequest {
  'nodeId'?: (string);
}

export interface RemoveNodeRequest__Output {
  'nodeId': (string);
}
