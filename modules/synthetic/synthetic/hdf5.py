"""An HDF5 file with one product, written byte by byte: the library takes longer to import than the module to run.

Format: HDF5 File Format Specification, version 3.0 (The HDF Group): superblock of version 0 behind a user block, groups
with compact links, version-1 object headers, compact datasets, one global heap for the strings.
"""

from struct import pack

_NOWHERE = b"\xff" * 8
_SCALAR = pack("<BBBx4x", 1, 0, 0)
_FLOAT = pack("<B3BI2H4BI", 0x11, 0x20, 0x3F, 0x00, 8, 0, 64, 52, 11, 0, 52, 1023)
_STRING = pack("<B3BI", 0x19, 0x01, 0x01, 0x00, 16) + pack("<B3BI2H", 0x10, 0, 0, 0, 1, 0, 8)
_HEAP_SIZE = 4096
_SUPERBLOCK_SIZE = 96


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 8)


class _Strings:
    """The global heap: texts of variable length, which attributes point to."""

    def __init__(self, address: int) -> None:
        self._address = address
        self._content = b""
        self._count = 0

    def add(self, text: str) -> bytes:
        """The reference that an attribute holds."""
        content = text.encode()
        self._count += 1
        self._content += pack("<HH4xQ", self._count, 0, len(content)) + _padded(content)
        return pack("<IQI", len(content), self._address, self._count)

    def collection(self) -> bytes:
        free = _HEAP_SIZE - 16 - len(self._content)
        if free < 16:
            raise ValueError("the attributes of a synthetic product are too long")
        return b"GCOL" + pack("<B3xQ", 1, _HEAP_SIZE) + self._content + pack("<HH4xQ", 0, 0, free) + bytes(free - 16)


def _message(kind: int, content: bytes) -> bytes:
    content = _padded(content)
    return pack("<HHB3x", kind, len(content), 0) + content


def _object(messages: list[bytes]) -> bytes:
    content = b"".join(messages)
    return pack("<BxHII4x", 1, len(messages), 1, len(content)) + content


def _attribute(name: str, reference: bytes) -> bytes:
    label = name.encode() + b"\0"
    sizes = pack("<BBHHHB", 3, 0, len(label), len(_STRING), len(_SCALAR), 0)
    return _message(0x0C, sizes + label + _STRING + _SCALAR + reference)


def _group(links: dict[str, int], attributes: list[bytes]) -> bytes:
    messages = [_message(0x02, pack("<BB", 0, 0) + _NOWHERE + _NOWHERE), _message(0x0A, pack("<BB", 0, 0))]
    for name, address in links.items():
        label = name.encode()
        messages.append(_message(0x06, pack("<BBB", 1, 0, len(label)) + label + pack("<Q", address)))
    return _object(messages + attributes)


def _number(value: float, attributes: list[bytes]) -> bytes:
    layout = pack("<BBHd", 3, 0, 8, value)
    fill = pack("<4B", 2, 1, 2, 0)
    messages = [_message(0x01, _SCALAR), _message(0x03, _FLOAT), _message(0x05, fill), _message(0x08, layout)]
    return _object(messages + attributes)


def product_file(
    user_block: bytes, ident: str, numbers: dict[str, float], unit: str, attributes: dict[str, str]
) -> bytes:
    """The whole file: group `PRODUCTS/<ident>` (or EXTERNALS) with its attributes and one dataset a number.

    `user_block` comes first; its size must be a power of two from 512 on.
    """
    strings = _Strings(_SUPERBLOCK_SIZE)
    position = _SUPERBLOCK_SIZE + _HEAP_SIZE
    objects = b""

    def place(content: bytes) -> int:
        nonlocal objects
        objects += content
        return position + len(objects) - len(content)

    units = [_attribute("unit", strings.add(unit))] if unit else []
    datasets = {name: place(_number(number, units)) for name, number in numbers.items()}
    own = [_attribute(name, strings.add(text)) for name, text in attributes.items()]
    product = place(_group(datasets, own))
    family = place(_group({ident: product}, []))
    root = place(_group({"PRODUCTS" if "_SAS_" in ident else "EXTERNALS": family}, []))
    start = len(user_block)
    end = start + position + len(objects)
    superblock = b"\x89HDF\r\n\x1a\n" + pack("<8BHHI", 0, 0, 0, 0, 0, 8, 8, 0, 4, 16, 0)
    superblock += pack("<Q", start) + _NOWHERE + pack("<Q", end) + _NOWHERE + pack("<QQI4x16x", 0, root, 0)
    return user_block + superblock + strings.collection() + objects
