"""That a row of the ledger was sealed: its place under the newest head (docs/audit/formats.md section 7)."""

from typing import Any
from uuid import UUID

import psycopg

from visionality.core.key_document import written
from visionality.evidence.heads import inclusion_of, index_of_row, leaves_of, newest


class NotSealed(Exception):
    """No head has this row: it is too new, or there is no such row."""


def row_proof(connection: psycopg.Connection[Any], org_id: UUID, row_id: UUID) -> bytes:
    """The proof of a row's leaf in the newest head of `request_logs`, in JCS. Raises NotSealed.

    `connection` sees one moment. The leaf is the one that was sealed, whatever stands beside the row today.
    """
    index = index_of_row(connection, org_id, "request_logs", row_id)
    head = newest(connection, org_id, "request_logs")
    if index is None or head is None or index >= head.size:
        raise NotSealed(
            f"no row {row_id} was sealed: rows are sealed within seconds, and a receipt says `row_id`"
        )
    (leaf,) = leaves_of(connection, org_id, "request_logs", (index, index + 1))
    path = inclusion_of(connection, org_id, "request_logs", index, head.size)
    return written(
        {
            "checkpoint": head.note,
            "inclusion": {"index": index, "path": [step.hex() for step in path]},
            "leaf": leaf.hex(),
            "type": "inclusion",
            "v": 1,
        }
    )
