#!/usr/bin/env bash
# Expected: grpcurl's README says that -d takes the request as JSON, so protobuf's JSON mapping should hold. It does not allow null
# as an element of a repeated field, and protobuf's own Go library raises an error for it.
# Seen: grpcurl 1.9.4 sends 0 in place of the null and reports success; so it does for a null value in a map of numbers. A
# null for an optional number, which the mapping does allow and reads as "not set", is refused instead.
# Why it matters: people try a detection service with grpcurl, and write null for a missing reading as they would anywhere in
# JSON. The service receives 0 and scores it. In typed arrays write "NaN"; say so where examples of them are shown.
set -euo pipefail
tmp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi; rm -rf "$tmp"' EXIT
cd "$tmp"
GOBIN="$tmp/bin" go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4 2>go.log || { cat go.log; exit 1; }
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @grpc/grpc-js@1.14.7 @grpc/proto-loader@0.8.1
cat > t.proto <<'PROTO'
syntax = "proto3";
package demo;
message Rows { repeated double values = 1; map<string, double> named = 2; optional double level = 3; }
message Seen { string hex = 1; }
service Echo { rpc Show(Rows) returns (Seen); }
PROTO
cat > server.cjs <<'JS'
// Answers with the very bytes that arrived.
const grpc = require("@grpc/grpc-js"), fs = require("fs");
const service = require("@grpc/proto-loader").loadSync("t.proto")["demo.Echo"];
const raw = { Show: { ...service.Show, requestDeserialize: (bytes) => bytes } };
const server = new grpc.Server();
server.addService(raw, { Show: (call, answer) => answer(null, { hex: call.request.toString("hex") }) });
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (_, port) => {
  fs.writeFileSync("port.new", String(port));
  fs.renameSync("port.new", "port");
});
JS
node server.cjs &
server=$!
for _ in $(seq 100); do [ -s port ] && break; sleep 0.2; done
call() { bin/grpcurl -plaintext -proto t.proto -d "$1" "127.0.0.1:$(cat port)" demo.Echo/Show 2>&1 | tr -d ' \n' || true; }
list=$(call '{"values": [1, null, 2]}')
map=$(call '{"named": {"a": null}}')
nan=$(call '{"values": ["NaN"]}')
level=$(call '{"level": null}')
printf '%s\n' "[1, null, 2]    -> $list" "{\"a\": null}     -> $map" "[\"NaN\"]         -> $nan" "optional: null  -> $level"
if [[ $list != *0a18000000000000f03f00000000000000000000000000000040* || $map != *'"hex":"120'* || $nan != *0a08010000000000f87f* || $level == *hex* ]]; then
  echo "grpcurl no longer behaves as stated" >&2
  exit 1
fi
