// Original file: proto/clusterfunk/management.proto


export interface StepDownRequest {
}

export interface StepDownRequest__Output {
}
