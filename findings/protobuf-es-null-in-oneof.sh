#!/usr/bin/env bash
# Expected: protobuf's JSON mapping accepts null for any field as if it were left out, in a oneof, too: Go, Python and
# protobuf-ts read {"forest": null, "neighbors": 5}. protobuf-es says that it follows the mapping and passes the conformance tests.
# Seen: protobuf-es 2.17.0 raises "oneof set multiple times" where the null stands for a message, in either order; where it
# stands for a number it is read as the others do.
# Why it matters: a oneof of messages is how services let a caller choose, say, a detector. Clients that fill in null for the
# choices not taken, as many JSON writers do, work in most languages and fail in Connect's. Leave such fields out.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @bufbuild/protobuf@2.17.0 @bufbuild/protoc-gen-es@2.13.0 @bufbuild/buf@1.75.0
npm pkg set type=module >/dev/null
cat > t.proto <<'PROTO'
syntax = "proto3";
package demo;
message Forest { int32 trees = 1; }
message Spec { oneof detector { Forest forest = 1; int32 neighbors = 2; double level = 3; } }
PROTO
cat > buf.gen.yaml <<'YAML'
version: v2
plugins:
  - local: node_modules/.bin/protoc-gen-es
    out: gen
    opt: [target=js, import_extension=js]
YAML
node_modules/.bin/buf generate t.proto
cat > t.js <<'JS'
import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { SpecSchema } from "./gen/t_pb.js";
const read = (text) => { try { return toJsonString(SpecSchema, fromJsonString(SpecSchema, text)); } catch (e) { return e.message; } };
const texts = ['{"level": null, "neighbors": 5}', '{"forest": null, "neighbors": 5}', '{"neighbors": 5, "forest": null}', '{"forest": null}'];
const seen = texts.map(read);
texts.forEach((text, i) => console.log(text, "->", seen[i]));
const refused = (s) => s.includes("oneof set multiple times");
if (seen[0] !== '{"neighbors":5}' || !refused(seen[1]) || !refused(seen[2]) || seen[3] !== "{}") {
  console.error("protobuf-es no longer behaves as stated");
  process.exit(1);
}
JS
node t.js
