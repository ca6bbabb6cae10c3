"""Records of every kind that may break an archive, from a random source."""

import time
import uuid

ROWS_OF_SIZES = [
    # probability, smallest, largest
    (0.60, 1, 2_000),
    (0.20, 2_000, 20_000),
    (0.04, 20_000, 200_000),
]
LARGE_BYTES = 1_000_000
NAMES = ["a", "b", "", "title", "_sender", "file_name", "originator", "_format", "Umlaut-ü", "_id"]
TEXTS = [None, b"", b"1", b"text", "grüße".encode(), b"\xff\xfe not UTF-8", b"circular", b"json", b"\0"]


class Content:
    def __init__(self, rng):
        self._rng = rng

    def value(self):
        draw = self._rng.random()
        for probability, smallest, largest in ROWS_OF_SIZES:
            if draw < probability:
                return self._rng.randbytes(self._rng.randint(smallest, largest))
            draw -= probability
        # Of what is left: nothing, null, or a text that says of what kind it is.
        return self._rng.choice([b"", None, b"{}", b"[]", b'{"format": "circular", "content": {}}', b"\x89PNG\r\n"])

    def large_value(self):
        return self._rng.randbytes(self._rng.choice([LARGE_BYTES, 3 * LARGE_BYTES]))

    def key(self):
        return self._rng.choice([None, None, b"", b"k", self._rng.randbytes(8)])

    def headers(self):
        """Names come more than once; an `_id` among them is no valid one."""
        return [(self._rng.choice(NAMES), self._rng.choice(TEXTS)) for _ in range(self._rng.choice([0, 0, 1, 2, 3, 8]))]

    def uuid(self):
        return uuid.UUID(bytes=self._rng.randbytes(16))

    def with_uuid(self, client):
        """Headers that claim the UUID; sometimes with more `_id`s around it that do not count."""
        headers = self.headers()
        headers.insert(self._rng.randint(0, len(headers)), ("_id", client.bytes))
        return headers

    def timestamp(self):
        """Milliseconds; mostly now."""
        now = int(time.time() * 1000)
        if self._rng.random() < 0.95:
            return now
        return self._rng.choice([1, 86_400_000, 951_782_400_000, 253_402_300_799_999, 253_402_300_800_000, 2**53])
