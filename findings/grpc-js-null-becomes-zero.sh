#!/usr/bin/env bash
# Expected: a null among the elements of a repeated double is no number. protobuf's JSON mapping does not allow it, and the
# libraries of Go, Python and protobuf-es raise an error. A JavaScript client that sends [1, null, 2] should hear of it.
# Seen: @grpc/proto-loader 0.8.1, with which @grpc/grpc-js builds clients from .proto files, sends 0 in its place, with no error;
# an undefined element and the value of a map become 0, too. protobufjs has a check, verify(), which refuses the null, but the
# serializer of proto-loader does not call it.
# Why it matters: JSON writes NaN as null, so null is how a missing reading looks in JavaScript. It reaches a detection service as
# a plain 0 and is scored as a reading. Clients have to send NaN; no server can tell the two apart afterwards.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @grpc/proto-loader@0.8.1 protobufjs@8.8.1
cat > t.proto <<'PROTO'
syntax = "proto3";
package demo;
message Rows { repeated double values = 1; map<string, double> named = 2; }
service Scores { rpc Score(Rows) returns (Rows); }
PROTO
cat > t.cjs <<'JS'
const loader = require("@grpc/proto-loader"), protobuf = require("protobufjs");
const method = loader.loadSync("t.proto")["demo.Scores"].Score;
const rows = JSON.parse(JSON.stringify({ values: [1, NaN, 2], named: { a: NaN } }));
const got = method.requestDeserialize(method.requestSerialize(rows));
console.log("given:   ", JSON.stringify(rows));
console.log("received:", JSON.stringify(got));
const verdict = protobuf.loadSync("t.proto").lookupType("demo.Rows").verify(rows);
console.log("verify():", verdict);
const nan = method.requestDeserialize(method.requestSerialize({ values: [NaN] })).values[0];
console.log("a NaN arrives as", nan);
if (JSON.stringify(got) !== '{"values":[1,0,2],"named":{"a":0}}' || verdict === null || !Number.isNaN(nan)) {
  console.error("proto-loader no longer behaves as stated");
  process.exit(1);
}
JS
node t.cjs
