// Original file: proto/funk/v1/node.proto


export interface RoundTripResponse {
  'from'?: (string);
  'to'?: (string);
  'seconds'?: (number | string);
}

export interface RoundTripResponse__Output {
  'from': (string);
  'to': (string);
  'seconds': (number);
}
