/** clusterfunk's management service as its description has it, for clients that shall know nothing of `proto/`. */

export const CONTRACT: string = `
syntax = "proto3";
package managepb;
message Empty {}
message Id { string node_id = 1; }
message Name { string endpoint_name = 1; }
message Error {
  enum Code { UNSPECIFIED = 0; OK = 1; INVALID = 2; NO_LEADER = 3; GENERIC = 4; UNKNOWN_ID = 5; }
  Code error_code = 1; string message = 2;
}
message Status {
  string local_node_id = 1; string leader_node_id = 2; int32 raft_node_count = 3; int32 serf_node_count = 4;
  string local_role = 5; string local_state = 6; string cluster_name = 7; int32 shard_count = 8; int32 shard_weight = 9;
  Error error = 10; int64 created = 11; string your_ip = 12;
}
message NodeInfo { string node_id = 1; string raft_state = 2; string serf_state = 3; bool leader = 4; }
message Nodes { string node_id = 1; string leader_id = 2; repeated NodeInfo nodes = 3; Error error = 4; }
message Change { string node_id = 1; Error error = 2; }
message ShardInfo { string node_id = 1; int32 shard_count = 2; int32 shard_weight = 3; }
message Shards {
  string node_id = 1; Error error = 2; repeated ShardInfo shards = 3; int32 total_shards = 4; int32 total_weight = 5;
}
message EndpointInfo { string node_id = 1; string name = 2; string host_port = 3; }
message Endpoints { string node_id = 1; Error error = 2; repeated EndpointInfo endpoints = 3; }
service ClusterManagement {
  rpc GetStatus(Empty) returns (Status);
  rpc ListNodes(Empty) returns (Nodes);
  rpc AddNode(Id) returns (Change);
  rpc RemoveNode(Id) returns (Change);
  rpc StepDown(Empty) returns (Change);
  rpc ListShards(Empty) returns (Shards);
  rpc FindEndpoint(Name) returns (Endpoints);
  rpc ListEndpoints(Empty) returns (Endpoints);
}`;
