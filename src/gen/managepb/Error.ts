// Original file: proto/clusterfunk/management.proto


// Original file: proto/clusterfunk/management.proto

export const _managepb_Error_Code = {
  UNSPECIFIED: 'UNSPECIFIED',
  OK: 'OK',
  INVALID: 'INVALID',
  NO_LEADER: 'NO_LEADER',
  GENERIC: 'GENERIC',
  UNKNOWN_ID: 'UNKNOWN_ID',
} as const;

export type _managepb_Error_Code =
  | 'UNSPECIFIED'
  | 0
  | 'OK'
  | 1
  | 'INVALID'
  | 2
  | 'NO_LEADER'
  | 3
  | 'GENERIC'
  | 4
  | 'UNKNOWN_ID'
  | 5

export type _managepb_Error_Code__Output = typeof _managepb_Error_Code[keyof typeof _managepb_Error_Code]

export interface Error {
  'errorCode'?: (_managepb_Error_Code);
  'message'?: (string);
}

export interface Error__Output {
  'errorCode': (_managepb_Error_Code__Output);
  'message': (string);
}
