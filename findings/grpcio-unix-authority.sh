#!/usr/bin/env bash
# Expected: over a Unix socket there is no host to name, so a client sends an :authority that any HTTP/2 server takes, such as
# "localhost", as grpc-go does.
# Seen: grpcio 1.85.1 sends the path of the socket as :authority, percent-encoded ("tmp%2Fs.sock"), for "unix:/path" as for
# "unix:///path". The option grpc.default_authority replaces it.
# Why it matters: servers on Rust's h2 (tonic, hyper) refuse that as a malformed authority and reset the stream, before any code of
# the service sees the request. The caller reads INTERNAL "Stream removed", and the server logs nothing: a sidecar over a socket
# works from Go and not from Python.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check grpcio==1.85.1 h2==4.4.1
cat > t.py <<'PY'
import pathlib, socket, threading
import grpc, h2.config, h2.connection, h2.events

path = str(pathlib.Path("s.sock").resolve())

def authority_of_a_call(target, options):
    """What a client sends as :authority to a server that answers nothing."""
    pathlib.Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    seen = []

    def serve():
        peer, _ = listener.accept()
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, validate_inbound_headers=False))
        connection.initiate_connection()
        peer.sendall(connection.data_to_send())
        while not seen:
            for event in connection.receive_data(peer.recv(65536)):
                if isinstance(event, h2.events.RequestReceived):
                    seen.append(dict(event.headers)[b":authority"].decode())
                    connection.reset_stream(event.stream_id)
            peer.sendall(connection.data_to_send())

    thread = threading.Thread(target=serve)
    thread.start()
    with grpc.insecure_channel(target, options=options) as channel:
        try:
            channel.unary_unary("/demo.Service/Method")(b"", timeout=10)
        except grpc.RpcError:
            pass
    thread.join()
    return seen[0]

encoded = path.lstrip("/").replace("/", "%2F")
named = authority_of_a_call("unix:" + path, [("grpc.default_authority", "localhost")])
print("with the option:", named)
for target in ("unix:" + path, "unix://" + path):
    sent = authority_of_a_call(target, [])
    print(target.replace(path, "/…/s.sock"), "->", sent.replace(encoded, "…%2Fs.sock"))
    if sent != encoded:
        raise SystemExit("grpcio no longer behaves as stated")
if named != "localhost":
    raise SystemExit("the option no longer works as stated")
PY
venv/bin/python t.py
