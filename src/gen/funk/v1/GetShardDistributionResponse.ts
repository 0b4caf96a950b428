// Original file: proto/funk/v1/node.proto


export interface GetShardDistributionResponse {
  'nodeId'?: (string);
  'distribution'?: (Buffer | Uint8Array | string);
}

export interface GetShardDistributionResponse__Output {
  'nodeId': (string);
  'distribution': (Buffer);
}
