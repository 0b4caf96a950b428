// Original file: proto/funk/v1/node.proto


export interface RoundTripRequest {
  'from'?: (string);
  'to'?: (string);
}

export interface RoundTripRequest__Output {
  'from': (string);
  'to': (string);
}
