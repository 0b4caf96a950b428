// Original file: proto/clusterfunk/management.proto


export interface NodeInfo {
  'nodeId'?: (string);
  'raftState'?: (string);
  'serfState'?: (string);
  'leader'?: (boolean);
}

export interface NodeInfo__Output {
  'nodeId': (string);
  'raftState': (string);
  'serfState': (string);
  'leader': (boolean);
}
