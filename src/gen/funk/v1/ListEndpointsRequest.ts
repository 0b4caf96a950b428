// Original file: proto/funk/v1/node.proto


export interface ListEndpointsRequest {
  'filter'?: (string);
  'includeInactive'?: (boolean);
}

export interface ListEndpointsRequest__Output {
  'filter': (string);
  'includeInactive': (boolean);
}
