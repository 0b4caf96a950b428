// Original file: proto/funk/v1/kv.proto


export interface KvError {
  'code'?: (string);
  'message'?: (string);
}

export interface KvError__Output {
  'code': (string);
  'message': (string);
}
