"""The byte layout of a history file: a header page, then fixed-size records (docs/history.md).

A record is ten native doubles, since a double is the cheapest thing that Python can store whole:
packing integers costs four times as much. Times are seconds of CLOCK_MONOTONIC; as doubles they
are exact to the nanosecond for the first 52 days of uptime, and to two for the next 150.
"""

from __future__ import annotations

import struct

MAGIC = b"LABHIST1"
HEADER_SIZE = 4096
RECORD_SIZE = 80

# Header: magic, record size, header size, pid, process index, name, role, status since, status.
HEADER = struct.Struct("<8sIIII32s32sq128s")
STATUS_OFFSET = struct.calcsize("<8sIIII32s32s")
STATUS = struct.Struct("<q128s")
STATUS_SIZE = 128

# Cells of a record. A kind of 0 is a record that was never written, a ``left`` of 0 an operation
# that never ended: it was declared, and of the first such record of a file, perhaps in flight.
KIND, ITEM, V0, ASKED, ENTERED, V1, V2, V3, V4, LEFT = range(10)
RECORD = struct.Struct("@10d")
# The part that an operation writes when it ends: asked, entered, v1 … v4, left; `left` comes last,
# so that a process killed in the middle leaves a record without an end.
END_OFFSET = ASKED * 8
END = struct.Struct("@7d")

# kind = operation code + 256 × object + 65536 × refused
#        + 2^17 × lock held at the first access + 2^25 × lock held at the last
#        + 2^33 if it is the second half of one operation, whose first is the record before it
# A lock is 0 for none, 1 for the whole table's, 2 + n for that of row n.
OBJECT = 256
REFUSED = 1 << 16
HELD_FIRST = 1 << 17
HELD_LAST = 1 << 25
SECOND_HALF = 1 << 33
LARGEST_KIND = (1 << 34) - 1
# The object of a record about the spool: no channel has this number.
SPOOL = 255
NO_LOCK, TABLE_LOCK, FIRST_ROW_LOCK = 0, 1, 2

# One window holds a whole number of records and of pages.
WINDOW_RECORDS = 256
WINDOW_SIZE = WINDOW_RECORDS * RECORD_SIZE

assert HEADER.size <= HEADER_SIZE
assert RECORD.size == RECORD_SIZE
assert WINDOW_SIZE % 4096 == 0
