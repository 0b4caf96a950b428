// Original file: proto/funk/v1/node.proto


export interface PlannedMoves {
  'from'?: (string);
  'to'?: (string);
  'reason'?: (string);
  'count'?: (number);
  'toStandby'?: (number);
  'examples'?: (number)[];
}

export interface PlannedMoves__Output {
  'from': (string);
  'to': (string);
  'reason': (string);
  'count': (number);
  'toStandby': (number);
  'examples': (number)[];
}
