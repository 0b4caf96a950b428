// Original file: proto/clusterfunk/management.proto


export interface EndpointRequest {
  'endpointName'?: (string);
}

export interface EndpointRequest__Output {
  'endpointName': (string);
}
