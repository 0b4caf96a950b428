// Original file: proto/funk/v1/node.proto


export interface BackupResponse {
  'piece'?: (Buffer | Uint8Array | string);
}

export interface BackupResponse__Output {
  'piece': (Buffer);
}
