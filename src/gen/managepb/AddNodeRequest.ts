// Original file: proto/clusterfunk/management.proto


export interface AddNodeRequest {
  'nodeId'?: (string);
}

export interface AddNodeRequest__Output {
  'nodeId': (string);
}
