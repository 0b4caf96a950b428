// Original file: proto/clusterfunk/management.proto


export interface ListEndpointRequest {
}

export interface ListEndpointRequest__Output {
}
