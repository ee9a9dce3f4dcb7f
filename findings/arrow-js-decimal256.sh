#!/usr/bin/env bash
# Expected: the JavaScript library of Apache Arrow reads decimal256 columns (its type says bitWidth 256), and printing a value
# gives its digits, as it does for decimal128.
# Seen: apache-arrow 21.2.0 prints the unscaled 15 of a decimal256 as "5" and 20 as "0", with no error; toJSON does so, too. The
# eight words in memory are right, and the same numbers as decimal128 print as "15" and "20".
# Why it matters: wide decimals come out of SQL exports. A dashboard or client in JavaScript shows other numbers than
# those that a detection service scored. Cast to decimal128 or double before handing such files to JavaScript.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund apache-arrow@21.2.0
cat > t.cjs <<'JS'
const { Decimal, makeData, makeVector } = require("apache-arrow");
const column = (bits, words) => makeVector(makeData({ type: new Decimal(1, 38, bits), length: 2, nullCount: 0, data: new Uint32Array(words) }));
const wide = column(256, [15, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0]);
const narrow = column(128, [15, 0, 0, 0, 20, 0, 0, 0]);
const text = (vector) => [...vector].map(String).join(" ");
console.log("decimal128 words", [...narrow].map((v) => v.join(",")).join(" | "), "->", text(narrow));
console.log("decimal256 words", [...wide].map((v) => v.join(",")).join(" | "), "->", text(wide));
if (text(narrow) !== "15 20" || text(wide) !== "5 0") {
  console.error("apache-arrow no longer behaves as stated");
  process.exit(1);
}
JS
node t.cjs
