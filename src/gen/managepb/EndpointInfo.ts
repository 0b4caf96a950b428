// Original file: proto/clusterfunk/management.proto


export interface EndpointInfo {
  'nodeId'?: (string);
  'name'?: (string);
  'hostPort'?: (string);
}

export interface EndpointInfo__Output {
  'nodeId': (string);
  'name': (string);
  'hostPort': (string);
}
