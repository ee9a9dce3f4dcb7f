#!/usr/bin/env bash
# Expected: the comments of google/protobuf/timestamp.proto say of its JSON form that fractional seconds are optional and can go
# up to 9 digits. "2024-01-01T00:00:00.5Z" is such a time, and a valid one by RFC 3339.
# Seen: protobuf-ts 2.11.1 refuses it with "Unable to parse Timestamp from JSON. Invalid format.", as it refuses any number
# of digits but 3, 6 and 9. protobuf's Python library and protobuf-es read it.
# Why it matters: other tools shorten fractions (".5Z", ".12Z"), so a file of requests that one client replays fails in another,
# at the rows whose fraction ends in zeros and at no others. Services should print 3, 6 or 9 digits and read any number.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @protobuf-ts/plugin@2.11.1 @protobuf-ts/runtime@2.11.1 @bufbuild/buf@1.75.0 @bufbuild/protobuf@2.17.0 esbuild@0.28.2
cat > t.proto <<'PROTO'
syntax = "proto3";
package demo;
import "google/protobuf/timestamp.proto";
message Row { google.protobuf.Timestamp time = 1; }
PROTO
cat > buf.gen.yaml <<'YAML'
version: v2
plugins:
  - local: node_modules/.bin/protoc-gen-ts
    out: gen
YAML
node_modules/.bin/buf generate t.proto --include-imports
cat > t.mjs <<'JS'
import { Row } from "./gen/t.ts";
import { fromJson } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
const read = (time) => { try { return Row.toJsonString(Row.fromJson({ time })); } catch (e) { return e.message; } };
const seen = ["2024-01-01T00:00:00.500Z", "2024-01-01T00:00:00.5Z", "2024-01-01T00:00:00.12Z"].map((t) => [t, read(t)]);
for (const [time, got] of seen) console.log("protobuf-ts:", time, "->", got);
const other = fromJson(TimestampSchema, "2024-01-01T00:00:00.5Z").nanos;
console.log("protobuf-es: 2024-01-01T00:00:00.5Z ->", other, "nanoseconds");
if (!seen[0][1].includes(".500Z") || !seen.slice(1).every(([, got]) => got.includes("Invalid format")) || other !== 5e8) {
  console.error("protobuf-ts no longer behaves as stated");
  process.exit(1);
}
JS
node_modules/.bin/esbuild t.mjs --bundle --platform=node --log-level=error --outfile=t.cjs --format=cjs
node t.cjs
