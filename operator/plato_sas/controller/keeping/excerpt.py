"""The beginning and the end of a text of any length, in bounded memory."""

from collections import deque


class Excerpt:
    """Keeps a text of up to `limit` bytes; of a longer one, a quarter from its beginning and the rest from its end."""

    def __init__(self, limit: int) -> None:
        self._head_limit = limit // 4
        self._tail_limit = limit - self._head_limit
        self._head = bytearray()
        self._blocks: deque[bytes] = deque()
        self._held = 0
        self._unread = False
        self.total = 0

    def add(self, block: bytes) -> None:
        self.total += len(block)
        room = self._head_limit - len(self._head)
        self._head += block[:room]
        rest = block[room:] if room < len(block) else b""
        if rest:
            self._blocks.append(rest)
            self._held += len(rest)
        while self._blocks and self._held - len(self._blocks[0]) >= self._tail_limit:
            self._held -= len(self._blocks.popleft())

    def lines(self) -> int:
        """An estimate of how many lines fill the limit, based on the beginning."""
        lines = max(1, self._head.count(b"\n"))
        return max(1, (self._head_limit + self._tail_limit) * lines // max(1, len(self._head)))

    def replace_tail(self, end: "Excerpt") -> None:
        """The text continued beyond what was added: take its end from another excerpt."""
        self._blocks, self._held, self._unread = deque([end._last()]), 0, True

    def text(self) -> bytes:
        """The kept whole lines, with a line in between on how much is missing. Ends with a newline."""
        head, tail = bytes(self._head), self._last()
        missing = self.total - len(head) - len(tail)
        if missing <= 0 and not self._unread:
            return _with_newline(head + tail)
        # Drop half lines: they would look like whole ones.
        head = head[: head.rfind(b"\n") + 1] or head
        tail = tail[tail.find(b"\n") + 1 :] or tail
        missing = self.total - len(head) - len(tail)
        left_out = f"at least {missing}" if self._unread else str(missing)
        return _with_newline(head) + f"[... {left_out} bytes left out here ...]\n".encode() + _with_newline(tail)

    def _last(self) -> bytes:
        return b"".join(self._blocks)[-self._tail_limit :]


def _with_newline(text: bytes) -> bytes:
    return text if not text or text.endswith(b"\n") else text + b"\n"
