// Original file: proto/funk/v1/node.proto


export interface BackupRequest {
}

export interface BackupRequest__Output {
}
