"""The one codec: compiles a message table for a version and walks it both ways.

What:   Plan of a (message, version): one reader and one writer, compiled once, then cached
In:     Message tables; bodies as dicts with Kafka's field names in snake_case
Out:    bytes, or dicts that hold every field of the table (absent ones at their defaults)
Thread: any; two threads may compile the same plan at once, either one is right
Next:   frames.py, which adds headers and turns FieldError into errors of the public family

Structs are dicts, arrays lists, uuids 16 bytes, null None, records a memoryview of the frame;
tagged fields are ordinary keys and tags that the table does not know are skipped. Nothing is
allocated by a count or a length that the bytes left cannot hold; an element of two bytes becomes
an object of some hundred, so who reads the bytes of strangers sets a budget (frames.decode_data).
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any, Final, NamedTuple

from fastkafka.protocol.primitives import (
    FIXED_FORMATS,
    LENGTH_MAX,
    FieldError,
    Reader,
    Writer,
    bytes_reader,
    bytes_writer,
    check_uuid,
    compact_length,
    encode_uvarint,
    fixed_reader,
    fixed_size,
    fixed_writer,
    int32_length,
    null_or_fail,
    read_compact_length,
    read_int32_length,
    read_uvarint,
    string_reader,
    string_writer,
    too_short,
)
from fastkafka.protocol.schema import NO_DEFAULT, Field, Message, in_range, type_default


class _Budget(threading.local):
    """How many elements of arrays, and tagged fields, this thread may still read."""

    elements_left = 2**63


budget: Final = _Budget()


def _spend(count: int, position: int) -> None:
    budget.elements_left -= count
    if budget.elements_left < 0:
        raise FieldError(f"{count} elements more than may be read", position)


class Plan(NamedTuple):
    """How one version of a struct or message is read and written."""

    read: Reader
    write: Writer
    size_min: int  # bytes that the smallest value takes: what bounds the count of an array


class _Run(NamedTuple):
    """Neighbouring fields of fixed width, read and written by a single struct call."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    defaults: tuple[tuple[str, Any], ...]
    codec: Struct


class _Single(NamedTuple):
    """A field that has a reader and a writer of its own."""

    name: str
    plan: Plan
    default: Callable[[], Any]


class _Tagged(NamedTuple):
    """A tagged field; it is left out when its bytes equal those of its default."""

    tag: int
    name: str
    plan: Plan
    default_bytes: bytes


# By the identity of the table, which the entry keeps alive so that the id stays its own.
_plans: Final[dict[tuple[int, int], tuple[Plan, Message]]] = {}


def plan_of(message: Message, version: int) -> Plan:
    """Return the compiled plan of a message in one of its valid versions."""
    key = (id(message), version)
    entry = _plans.get(key)
    if entry is None:
        plan = _Compiler(message, version).struct_plan(message.fields)
        entry = _plans[key] = (plan, message)
    return entry[0]


def encode_body(message: Message, version: int, body: Mapping[str, Any]) -> bytes:
    """Encode a body; raises FieldError."""
    chunks: list[Any] = []
    plan_of(message, version).write(chunks, body)
    return b"".join(chunks)


class _Compiler:
    """Turns the rows of a message into plans for one version."""

    def __init__(self, message: Message, version: int) -> None:
        self.message = message
        self.version = version
        self.flexible = message.is_flexible(version)

    def struct_plan(self, fields: list[Field]) -> Plan:
        """Plan of the fields of a struct, tagged ones last."""
        present = [field for field in fields if in_range(self.version, field.versions)]
        plain = [field for field in present if field.tag < 0]
        steps = self._steps(plain)
        tagged = sorted(self._tagged(field) for field in present if field.tag >= 0)
        names = frozenset(field.name for field in fields)
        # Kept by this version only at their defaults: the receiver could not know the value.
        refused = [
            (field.name, self.default_of(field))
            for field in fields
            if field not in present and not field.ignorable
        ]
        size_min = sum(
            step.codec.size if isinstance(step, _Run) else step.plan.size_min for step in steps
        )
        return Plan(
            _struct_reader(self._template(fields, plain), steps, tagged, self.flexible),
            _struct_writer(names, refused, steps, tagged, self.flexible),
            max(size_min + self.flexible, 1),
        )

    def default_of(self, field: Field) -> Callable[[], Any]:
        """Maker of the default of a field; mutable ones are made anew each time."""
        value = field.default
        if value is not NO_DEFAULT:
            return lambda: value
        if field.is_array:
            return list
        fields = self.message.structs.get(field.type)
        if fields is not None:
            makers = [(inner.name, self.default_of(inner)) for inner in fields]
            return lambda: {name: make() for name, make in makers}
        value = type_default(field)
        return lambda: value

    def field_plan(self, field: Field) -> Plan:
        """Plan of one field, its nullability included."""
        nullable = in_range(self.version, field.nullable)
        if field.is_array:
            return self._array_plan(field.element_type, nullable)
        flexible = self.flexible
        if field.flexible:
            flexible = flexible and in_range(self.version, field.flexible)
        plan = self._element_plan(field.type, flexible, nullable)
        if nullable and field.type in self.message.structs:
            return Plan(_nullable_reader(plan.read), _nullable_writer(plan.write), 1)
        return plan

    def _element_plan(self, type_name: str, flexible: bool, nullable: bool) -> Plan:
        if type_name in FIXED_FORMATS:
            return Plan(fixed_reader(type_name), fixed_writer(type_name), fixed_size(type_name))
        if type_name == "string":
            read, write = string_reader(flexible, nullable), string_writer(flexible, nullable)
            return Plan(read, write, 1 if flexible else 2)
        if type_name in ("bytes", "records"):
            read = bytes_reader(flexible, nullable, as_view=type_name == "records")
            return Plan(read, bytes_writer(flexible, nullable), 1 if flexible else 4)
        return self.struct_plan(self.message.structs[type_name])

    def _array_plan(self, type_name: str, nullable: bool) -> Plan:
        size_min = 1 if self.flexible else 4
        if type_name in FIXED_FORMATS and type_name != "uuid":
            code, size = FIXED_FORMATS[type_name], fixed_size(type_name)
            return Plan(
                _fixed_array_reader(code, size, self.flexible, nullable),
                _array_writer(None, code, self.flexible, nullable),
                size_min,
            )
        element = self._element_plan(type_name, self.flexible, nullable=False)
        return Plan(
            _array_reader(element, self.flexible, nullable),
            _array_writer(element.write, "", self.flexible, nullable),
            size_min,
        )

    def _steps(self, fields: list[Field]) -> list[_Run | _Single]:
        """Group the plain fields: runs of fixed width, and the others one by one."""
        steps: list[_Run | _Single] = []
        run: list[Field] = []
        for field in fields:
            if field.type in FIXED_FORMATS:
                run.append(field)
                continue
            if run:
                steps.append(self._run(run))
                run = []
            steps.append(_Single(field.name, self.field_plan(field), self.default_of(field)))
        if run:
            steps.append(self._run(run))
        return steps

    def _run(self, fields: list[Field]) -> _Run:
        return _Run(
            tuple(field.name for field in fields),
            tuple(field.type for field in fields),
            tuple((field.name, self.default_of(field)()) for field in fields),
            Struct(">" + "".join(FIXED_FORMATS[field.type] for field in fields)),
        )

    def _tagged(self, field: Field) -> _Tagged:
        plan = self.field_plan(field)
        chunks: list[Any] = []
        plan.write(chunks, self.default_of(field)())
        return _Tagged(field.tag, field.name, plan, b"".join(chunks))

    def _template(
        self, fields: list[Field], plain: list[Field]
    ) -> tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]]]:
        """Every field at its default, and makers for those whose default is mutable."""
        template: dict[str, Any] = {}
        makers: list[tuple[str, Callable[[], Any]]] = []
        for field in fields:
            make = self.default_of(field)
            template[field.name] = None if field in plain else make()
            if isinstance(template[field.name], (list, dict)):
                makers.append((field.name, make))
        return template, makers


# Structs ------------------------------------------------------------------------------------


def _struct_reader(
    defaults: tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]]],
    steps: list[_Run | _Single],
    tagged: list[_Tagged],
    flexible: bool,
) -> Reader:
    template, makers = defaults
    # (run, None, names, bytes) or (None, reader, name, 0): flat, since this loop is the hot one
    flat: list[tuple[Any, Any, Any, int]] = [
        (step, step.codec.unpack_from, step.names, step.codec.size)
        if isinstance(step, _Run)
        else (None, step.plan.read, step.name, 0)
        for step in steps
    ]
    read_tagged = _tagged_reader(tagged) if flexible else None

    def read_struct(buffer: bytes, position: int, end: int) -> tuple[dict[str, Any], int]:
        body = template.copy()
        for name, make in makers:
            body[name] = make()
        name = ""
        try:
            for run, read, name, size in flat:
                if size:
                    if end - position < size:
                        raise _cut_run(run, position, end)
                    body.update(zip(name, read(buffer, position), strict=True))
                    position += size
                else:
                    body[name], position = read(buffer, position, end)
        except FieldError as error:
            if isinstance(name, str):  # a run has named its field itself
                error.within(name)
            raise
        if read_tagged is not None:
            position = read_tagged(body, buffer, position, end)
        return body, position

    return read_struct


def _cut_run(run: _Run, position: int, end: int) -> FieldError:
    """Name the field of a run in which the bytes end."""
    for name, type_name in zip(run.names, run.types, strict=True):
        size = fixed_size(type_name)
        if end - position < size:
            return too_short(size, position, end).within(name)
        position += size
    raise AssertionError("the run was not cut")


def _tagged_reader(tagged: list[_Tagged]) -> Callable[[dict[str, Any], bytes, int, int], int]:
    by_tag = {row.tag: row for row in tagged}

    def read_tagged(body: dict[str, Any], buffer: bytes, position: int, end: int) -> int:
        start = position
        count, position = read_uvarint(buffer, position, end)
        if count * 2 > end - position:  # a tag and a size take a byte each
            raise FieldError(f"{count} tagged fields in {end - position} bytes", start)
        _spend(count, start)
        previous = -1
        for _ in range(count):
            start = position
            tag, position = read_uvarint(buffer, position, end)
            if tag <= previous:
                raise FieldError(f"tag {tag} after tag {previous}", start)
            previous = tag
            size, position = read_uvarint(buffer, position, end)
            if size > end - position:
                raise too_short(size, position, end).within(f"<tag {tag}>")
            stop = position + size
            row = by_tag.get(tag)
            if row is not None:
                try:
                    body[row.name], used = row.plan.read(buffer, position, stop)
                    if used != stop:
                        raise FieldError(f"{stop - used} bytes left over in tag {tag}", used)
                except FieldError as error:
                    error.within(row.name)
                    raise
            position = stop
        return position

    return read_tagged


def _struct_writer(
    names: frozenset[str],
    refused: list[tuple[str, Callable[[], Any]]],
    steps: list[_Run | _Single],
    tagged: list[_Tagged],
    flexible: bool,
) -> Writer:
    def write_struct(chunks: list[Any], body: Any) -> None:
        if not isinstance(body, Mapping):
            raise FieldError(f"dict expected, not {type(body).__name__}")
        if not body.keys() <= names:
            raise FieldError(f"no such field: {', '.join(sorted(map(str, body.keys() - names)))}")
        for name, make in refused:
            if name in body and not _is_default(body[name], make()):
                raise _version_gap(name)
        get = body.get
        for step in steps:
            if isinstance(step, _Run):
                _write_run(chunks, step, get)
                continue
            value = get(step.name, NO_DEFAULT)
            try:
                step.plan.write(chunks, step.default() if value is NO_DEFAULT else value)
            except FieldError as error:
                error.within(step.name)
                raise
        if flexible:
            _write_tagged(chunks, tagged, body)

    return write_struct


def _write_run(chunks: list[Any], run: _Run, get: Callable[[str, Any], Any]) -> None:
    values = [get(name, default) for name, default in run.defaults]
    if "uuid" in run.types:
        for name, type_name, value in zip(run.names, run.types, values, strict=True):
            if type_name == "uuid":
                try:
                    check_uuid(value)
                except FieldError as error:
                    error.within(name)
                    raise
    try:
        chunks.append(run.codec.pack(*values))
    except struct.error:
        raise _unpackable(run, values) from None


def _unpackable(run: _Run, values: list[Any]) -> FieldError:
    """Name the value of a run that struct refused."""
    for name, type_name, value in zip(run.names, run.types, values, strict=True):
        try:
            struct.pack(">" + FIXED_FORMATS[type_name], value)
        except struct.error:
            return FieldError(f"{value!r:.60} is not {type_name}").within(name)
    raise AssertionError("the run can be packed")


def _write_tagged(chunks: list[Any], tagged: list[_Tagged], body: Mapping[str, Any]) -> None:
    count = 0
    written: list[bytes] = []
    for row in tagged:
        if row.name not in body:
            continue
        parts: list[Any] = []
        try:
            row.plan.write(parts, body[row.name])
        except FieldError as error:
            error.within(row.name)
            raise
        except struct.error:
            raise FieldError(f"{body[row.name]!r:.60} does not fit").within(row.name) from None
        encoded = b"".join(parts)
        if encoded != row.default_bytes:
            count += 1
            written += (encode_uvarint(row.tag), encode_uvarint(len(encoded)), encoded)
    chunks.append(encode_uvarint(count))
    chunks += written


def _version_gap(name: str) -> FieldError:
    error = FieldError("this version cannot carry the field").within(name)
    error.is_version_gap = True
    return error


def _is_default(value: Any, default: Any) -> bool:
    """Whether a value says nothing beyond the default; keys that it lacks do not count."""
    if isinstance(value, Mapping) and isinstance(default, Mapping):
        return all(key in default and _is_default(value[key], default[key]) for key in value)
    return bool(value == default)


def _nullable_reader(read: Reader) -> Reader:
    """Reader of a struct after a byte that is negative for null."""

    def read_nullable(buffer: bytes, position: int, end: int) -> tuple[Any, int]:
        if position >= end:
            raise too_short(1, position, end)
        if buffer[position] >= 0x80:
            return None, position + 1
        return read(buffer, position + 1, end)

    return read_nullable


def _nullable_writer(write: Writer) -> Writer:
    def write_nullable(chunks: list[Any], value: Any) -> None:
        if value is None:
            chunks.append(b"\xff")
        else:
            chunks.append(b"\x01")
            write(chunks, value)

    return write_nullable


# Arrays -------------------------------------------------------------------------------------


def _read_count(
    buffer: bytes, position: int, end: int, flexible: bool, nullable: bool, size_min: int
) -> tuple[int, int]:
    """Read the count of an array and hold it against the bytes left; -1 is a permitted null."""
    read_length = read_compact_length if flexible else read_int32_length
    count, start = read_length(buffer, position, end)
    if count < 0:
        null_or_fail(count, nullable, position)
    elif count * size_min > end - start:
        raise FieldError(
            f"{count} elements of {size_min} bytes or more, {end - start} bytes left", position
        )
    else:
        _spend(count, position)
    return count, start


def _array_reader(element: Plan, flexible: bool, nullable: bool) -> Reader:
    read, size_min = element.read, element.size_min

    def read_array(buffer: bytes, position: int, end: int) -> tuple[list[Any] | None, int]:
        count, position = _read_count(buffer, position, end, flexible, nullable, size_min)
        if count < 0:
            return None, position
        items: list[Any] = []
        try:
            for _ in range(count):
                item, position = read(buffer, position, end)
                items.append(item)
        except FieldError as error:
            error.within(f"[{len(items)}]")
            raise
        return items, position

    return read_array


def _fixed_array_reader(code: str, size: int, flexible: bool, nullable: bool) -> Reader:
    def read_fixed_array(buffer: bytes, position: int, end: int) -> tuple[list[Any] | None, int]:
        count, position = _read_count(buffer, position, end, flexible, nullable, size)
        if count < 0:
            return None, position
        values = struct.unpack_from(f">{count}{code}", buffer, position)
        return list(values), position + count * size

    return read_fixed_array


def _array_writer(write: Writer | None, code: str, flexible: bool, nullable: bool) -> Writer:
    """Writer of an array; without an element writer the elements are packed by struct code."""
    encode_length = compact_length if flexible else int32_length
    null = encode_length(-1)

    def write_array(chunks: list[Any], value: Any) -> None:
        if value is None:
            if not nullable:
                raise FieldError("None where null is not allowed")
            chunks.append(null)
            return
        if not isinstance(value, (list, tuple)):
            raise FieldError(f"list expected, not {type(value).__name__}")
        if len(value) > LENGTH_MAX:
            raise FieldError(f"{len(value)} elements, {LENGTH_MAX} at most")
        chunks.append(encode_length(len(value)))
        if write is None:
            try:
                chunks.append(struct.pack(f">{len(value)}{code}", *value))
            except struct.error as error:
                raise FieldError(f"an element does not fit: {error}") from None
            return
        for index, item in enumerate(value):
            try:
                write(chunks, item)
            except FieldError as error:
                error.within(f"[{index}]")
                raise

    return write_array
