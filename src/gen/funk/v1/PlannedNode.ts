// Original file: proto/funk/v1/node.proto


export interface PlannedNode {
  'nodeId'?: (string);
  'weight'?: (number | string);
  'zone'?: (string);
  'before'?: (number);
  'after'?: (number);
  'standbyBefore'?: (number);
  'standbyAfter'?: (number);
  'movesIn'?: (number);
  'movesOut'?: (number);
}

export interface PlannedNode__Output {
  'nodeId': (string);
  'weight': (number);
  'zone': (string);
  'before': (number);
  'after': (number);
  'standbyBefore': (number);
  'standbyAfter': (number);
  'movesIn': (number);
  'movesOut': (number);
}
