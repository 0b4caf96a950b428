// Original file: proto/funk/v1/node.proto


export interface PublishedEndpoint {
  'nodeId'?: (string);
  'service'?: (string);
  'name'?: (string);
  'address'?: (string);
  'aliasOf'?: (string);
  'serfState'?: (string);
}

export interface PublishedEndpoint__Output {
  'nodeId': (string);
  'service': (string);
  'name': (string);
  'address': (string);
  'aliasOf': (string);
  'serfState': (string);
}
