// Original file: proto/clusterfunk/management.proto


export interface GetStatusRequest {
}

export interface GetStatusRequest__Output {
}
