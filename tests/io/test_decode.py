"""Content encodings: decoded completely, or failed with a reason; never cut silently."""

from __future__ import annotations

import gzip
import zlib

import pytest

from endpoint_history.io.decode import MAX_BODY_BYTES, BodyRefusedError, Decoder

BODY = b'{"data": {"id": "a/b", "endpoints": []}}'
NO_END = "bytes after the end of the gzip body"


def raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


def members(*parts: bytes) -> bytes:
    return b"".join(map(gzip.compress, parts))


def decoded(encoding: str | None, raw: bytes, piece_bytes: int) -> bytes:
    decoder = Decoder(encoding)
    for start in range(0, len(raw), piece_bytes):
        decoder.feed(raw[start : start + piece_bytes])
    decoder.finish()
    return bytes(decoder.body)


@pytest.mark.parametrize("piece_bytes", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        (None, BODY),
        ("", BODY),
        ("identity", BODY),
        ("UTF-8", BODY),
        ("gzip", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        (" GZIP ,", gzip.compress(BODY)),
        ("gzip", members(BODY[:9], b"", BODY[9:])),
        ("gzip", gzip.compress(BODY) + b"\0\0\0"),
        ("gzip", gzip.compress(BODY[:9]) + b"\0\0" + gzip.compress(BODY[9:])),
        ("gzip, gzip", gzip.compress(gzip.compress(BODY))),
        ("gzip", gzip.compress(gzip.compress(BODY))),
        (None, gzip.compress(BODY)),
        (None, gzip.compress(members(BODY[:9], BODY[9:]))),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
        ("deflate", zlib.compress(BODY) + b"\0"),
        ("deflate, gzip", gzip.compress(zlib.compress(BODY))),
        ("gzip, deflate", zlib.compress(gzip.compress(BODY))),
    ],
)
def test_a_body_is_decoded_completely(encoding: str | None, raw: bytes, piece_bytes: int) -> None:
    assert decoded(encoding, raw, piece_bytes) == BODY


@pytest.mark.parametrize("piece_bytes", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("encoding", "raw", "reason"),
    [
        ("gzip", gzip.compress(BODY) + b"more", NO_END),
        ("gzip", gzip.compress(BODY) + b"\0\0\n", NO_END),
        ("gzip", gzip.compress(BODY) + b"\x1f", "gzip cut before its end"),
        ("gzip", gzip.compress(BODY) + gzip.compress(BODY)[:-1], "gzip cut before its end"),
        ("gzip", gzip.compress(BODY) + b"\x1f\x8bmore", "damaged gzip"),
        ("gzip", BODY, "damaged gzip"),
        ("deflate", zlib.compress(BODY)[:-1], "deflate cut before its end"),
        ("deflate", zlib.compress(BODY)[:1], "deflate cut before its end"),
        ("deflate", zlib.compress(BODY) + b"more", "bytes after the end of the deflate body"),
        ("deflate", b"\xff\xff\xff", "damaged deflate"),
        (None, b"\x28\xb5\x2f\xfd and more", "content encoding 'zstd' is not supported"),
    ],
)
def test_a_body_that_is_not_whole_fails(encoding: str | None, raw: bytes, reason: str, piece_bytes: int) -> None:
    with pytest.raises(BodyRefusedError, match=f"^{reason}$"):
        decoded(encoding, raw, piece_bytes)


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("br", "'br'"),
        ("gzip, br", "'br'"),
        ("zstd", "'zstd'"),
        ("compress", "'compress'"),
        ("caf\xe9\x1b[31m", r"'caf\xe9\x1b[31m'"),
        ("x" * 100, f"'{'x' * 40}'"),
    ],
)
def test_an_encoding_that_is_not_supported_is_named(encoding: str, named: str) -> None:
    with pytest.raises(BodyRefusedError) as caught:
        Decoder(encoding)
    assert str(caught.value) == f"content encoding {named} is not supported"


def layered(times: int) -> bytes:
    raw = BODY
    for _ in range(times):
        raw = gzip.compress(raw)
    return raw


@pytest.mark.parametrize(
    ("encoding", "raw", "reason"),
    [
        ("gzip", gzip.compress(bytes(MAX_BODY_BYTES + 1)), "body larger than 5 MiB"),
        ("gzip, gzip", gzip.compress(gzip.compress(bytes(4 * MAX_BODY_BYTES))), "body larger than 5 MiB"),
        (None, gzip.compress(gzip.compress(bytes(4 * MAX_BODY_BYTES))), "body larger than 5 MiB"),
        ("deflate", zlib.compress(bytes(MAX_BODY_BYTES + 1)), "body larger than 5 MiB"),
        (None, b" " * (MAX_BODY_BYTES + 1), "body larger than 5 MiB"),
        ("gzip", members(b"") * 20_000, "more than 10000 gzip members"),
        ("gzip", layered(5), "more than 4 content encodings"),
        ("gzip, gzip, gzip, gzip, gzip", layered(5), "more than 4 content encodings"),
    ],
    ids=range(8),
)
def test_what_would_fill_the_memory_or_never_end_is_refused(encoding: str | None, raw: bytes, reason: str) -> None:
    with pytest.raises(BodyRefusedError, match=f"^{reason}$"):
        decoded(encoding, raw, 16_384)


def test_a_body_as_large_as_allowed_is_taken() -> None:
    assert len(decoded("gzip", gzip.compress(bytes(MAX_BODY_BYTES)), 16_384)) == MAX_BODY_BYTES
