// Original file: proto/funk/v1/node.proto


export interface StepDownRequest {
}

export interface StepDownRequest__Output {
}
