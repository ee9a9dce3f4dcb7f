"""Frames of HTTP/2 (RFC 9113) and their headers, for clients that do what no library does."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# the types of frames, section 6
DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload=b""):
    """A frame, section 4.1."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def field(name, value):
    """A header as a literal that is not indexed (RFC 7541, section 6.2.2); both texts are short."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def call(path, token="benchmark"):
    """The headers of a gRPC call, without a token if that is `None`."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    if token:
        fields["authorization"] = f"Bearer {token}"
    return b"".join(field(name, value) for name, value in fields.items())


def message(content):
    """A message of gRPC, not compressed."""
    return b"\0" + len(content).to_bytes(4, "big") + content
