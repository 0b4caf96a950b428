// Original file: proto/clusterfunk/management.proto


export interface ListNodesRequest {
}

export interface ListNodesRequest__Output {
}
