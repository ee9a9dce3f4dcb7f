#!/usr/bin/env bash
# Expected: protobuf's JSON mapping round-trips. Python's json_format.MessageToJson prints a float field that holds the largest
# float as 3.4028235e+38, the shortest text that means it, and json_format.Parse should read what its own module wrote.
# Seen: in protobuf 7.36.2, Parse raises "Float value too large", because it compares the text, read as a double, with the exact
# value of the largest float, and the shortest text lies a little above. protobuf's Go and JavaScript libraries read it.
# Why it matters: the largest float is a common stand-in for "no limit" or "no reading". A Python client that stores such an
# answer or request as JSON cannot load it again; a server that prints floats as JSON should expect that.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check protobuf==7.36.2 grpcio-tools==1.85.1
cat > t.proto <<'PROTO'
syntax = "proto3";
message Row { float value = 1; }
PROTO
venv/bin/python -m grpc_tools.protoc -I. --python_out=. t.proto
venv/bin/python - <<'PY'
import struct
from google.protobuf import json_format
from t_pb2 import Row

largest = struct.unpack("<f", bytes.fromhex("ffff7f7f"))[0]
text = json_format.MessageToJson(Row(value=largest), indent=None)
print("printed:", text)
assert struct.pack("<f", 3.4028235e38).hex() == "ffff7f7f"  # the text means exactly the largest float
try:
    json_format.Parse(text, Row())
except json_format.ParseError as error:
    print("read again:", error)
    if "3.4028235e+38" not in text or "too large" not in str(error):
        raise SystemExit("protobuf no longer behaves as stated")
else:
    raise SystemExit("protobuf no longer behaves as stated: it reads its own text")
PY
