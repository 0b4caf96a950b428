// Original file: proto/clusterfunk/management.proto


export interface ListShardsRequest {
}

export interface ListShardsRequest__Output {
}
