"""What the manager hands to a module: folders, arguments, parameters, environment, inputs."""

import os
from _json import make_scanner  # the C scanner alone: `json` would take as long as everything else here
from _sha256 import sha256

Value = bool | int | float | str
HEADER_SIZE = 512
"""Bytes at the start of each product made here: its origin as one line of JSON, filled up with zeros."""
HEADER_BEGIN = b'{"synthetic":'
_BLOCK = 1 << 20


class Refused(Exception):
    """Something is wrong with what the module was given; `code` is the exit code."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


class _Strict:
    """The scanner's settings: JSON as the standard has it."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name: str) -> float:
        raise ValueError(f"{name} is not JSON")


_scan = make_scanner(_Strict)


def parse_object(text: str, where: str) -> dict[str, Value]:
    """A flat JSON object. Raises Refused naming `where`."""
    stripped = text.strip()
    try:
        document, end = _scan(stripped, 0)
    except (ValueError, StopIteration, SystemError):  # the last: its own error class is not imported
        raise Refused(f"{where}: not JSON", 4) from None
    if end != len(stripped) or not isinstance(document, dict):
        raise Refused(f"{where}: expected one JSON object", 4)
    return document


class Arguments:
    """The command line: --output=FILE, --input=NAME, --value=PRODUCT=NUMBER:UNIT, --fact=NAME:TYPE, --root=FOLDER."""

    def __init__(self, words: list[str]) -> None:
        self.outputs: list[str] = []
        self.inputs: list[str] = []
        self.values: dict[str, tuple[float, str]] = {}
        self.facts: dict[str, str] = {}
        self.root = "/sas"
        for word in words:
            option, given, text = word.partition("=")
            if not given or not text:
                raise Refused(f"argument {word!r}: expected --OPTION=VALUE", 4)
            self._add(option, text, word)

    def _add(self, option: str, text: str, word: str) -> None:
        if option == "--output":
            self.outputs.append(text)
        elif option == "--input":
            self.inputs.append(text)
        elif option == "--root":
            self.root = text
        elif option == "--fact":
            name, _, kind = text.partition(":")
            if kind not in ("boolean", "integer", "number", "string"):
                raise Refused(f"argument {word!r}: {kind!r} is no type of a fact", 4)
            self.facts[name] = kind
        elif option == "--value":
            name, _, quantity = text.partition("=")
            number, _, unit = quantity.partition(":")
            try:
                self.values[name] = float(number), unit
            except ValueError:
                raise Refused(f"argument {word!r}: {number!r} is not a number", 4) from None
        else:
            raise Refused(f"argument {word!r}: no such option", 4)


class Run:
    """One run for one star. `inputs`: the SHA-256 of every file in the inputs folder, by name."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.root = arguments.root
        self.star, self.step = _variable("SAS_STAR"), _variable("SAS_STEP")
        self.seed = _variable("SAS_SEED")
        attempt = _variable("SAS_ATTEMPT")
        if not attempt.isdecimal():
            raise Refused(f"environment: SAS_ATTEMPT: expected a decimal integer, found {attempt!r}", 4)
        self.attempt = int(attempt)
        self.parameters = _parameters(f"{self.root}/params.json")
        self.inputs: dict[str, str] = {}

    def integer(self, name: str, default: int = 0) -> int:
        return int(self.parameters.get(name, default))

    def read_inputs(self) -> None:
        """Check every input that is there, and that all that must be there are. Raises Refused."""
        folder = f"{self.root}/in"
        there = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        for name in self.arguments.inputs:
            if name not in there:
                raise Refused(f"{name}: input file is missing ({folder}/{name})")
        self.inputs = {name: self._check(name, f"{folder}/{name}") for name in there}

    def _check(self, name: str, path: str) -> str:
        """The file's SHA-256."""
        if not os.path.isfile(path):
            raise Refused(f"{name}: {path} is not a regular file")
        digest = sha256()
        try:
            with open(path, "rb", buffering=0) as file:
                block = beginning = file.read(_BLOCK)
                while block:
                    digest.update(block)
                    block = file.read(_BLOCK)
        except OSError as error:
            raise Refused(f"{name}: {path} cannot be read: {error.strerror}") from None
        if not beginning:
            raise Refused(f"{name}: {path} is empty")
        if beginning.startswith(HEADER_BEGIN):
            self._check_origin(name, beginning[:HEADER_SIZE])
        return digest.hexdigest()

    def _check_origin(self, name: str, header: bytes) -> None:
        """A product made by this image says whose it is: another star's is a mix-up of the manager."""
        origin = parse_object(header.rstrip(b"\0").decode(errors="replace"), f"{name}: header")
        if origin.get("star") != self.star:
            made = f"made for star {origin.get('star')!r} by step {origin.get('step')!r}"
            raise Refused(f"{name}: {made}, this is star {self.star!r}")


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise Refused(f"environment: {name} not set", 4)
    return value


def _parameters(path: str) -> dict[str, Value]:
    try:
        with open(path, "rb") as file:
            text = file.read().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"params.json: {error}", 4) from None
    return parse_object(text, "params.json")
