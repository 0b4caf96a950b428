// Original file: proto/funk/v1/node.proto

import type { PublishedEndpoint as _funk_v1_PublishedEndpoint, PublishedEndpoint__Output as _funk_v1_PublishedEndpoint__Output } from '../../funk/v1/PublishedEndpoint.ts';

export interface ListEndpointsResponse {
  'nodeId'?: (string);
  'endpoints'?: (_funk_v1_PublishedEndpoint)[];
}

export interface ListEndpointsResponse__Output {
  'nodeId': (string);
  'endpoints': (_funk_v1_PublishedEndpoint__Output)[];
}
