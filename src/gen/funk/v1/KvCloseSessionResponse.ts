// Original file: proto/funk/v1/kv.proto


export interface KvCloseSessionResponse {
}

export interface KvCloseSessionResponse__Output {
}
