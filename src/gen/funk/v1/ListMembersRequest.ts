// Original file: proto/funk/v1/node.proto


export interface ListMembersRequest {
}

export interface ListMembersRequest__Output {
}
