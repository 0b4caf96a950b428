// Original file: proto/funk/v1/kv.proto


export interface KvOpenSessionRequest {
}

export interface KvOpenSessionRequest__Output {
}
