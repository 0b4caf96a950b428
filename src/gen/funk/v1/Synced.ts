// Original file: proto/funk/v1/node.proto


export interface Synced {
}

export interface Synced__Output {
}
