// Original file: proto/funk/v1/node.proto


export interface GetShardDistributionRequest {
}

export interface GetShardDistributionRequest__Output {
}
