// Original file: proto/funk/v1/node.proto


export interface AddNodeRequest {
  'nodeId'?: (string);
}

export interface AddNodeRequest__Output {
  'nodeId': (string);
}
