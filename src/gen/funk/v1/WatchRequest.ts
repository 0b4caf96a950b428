// Original file: proto/funk/v1/node.proto


export interface WatchRequest {
}

export interface WatchRequest__Output {
}
