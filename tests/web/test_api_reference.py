"""docs/reference/api.md has every operation of the OpenAPI file, with its scopes, and no other."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from visionality.core.service_token import SCOPES
from web.programs import ROOT, full_program

ROOT_OF_ALL = Path(__file__).parents[2]
PAGE = (ROOT_OF_ALL / "docs" / "reference" / "api.md").read_text()
OPERATIONS = ROOT_OF_ALL / "src" / "visionality" / "web" / "api" / "operations"
SHAPE = re.compile(r"^class (\w+)\(", re.MULTILINE)


def line(method: str, path: str, operation: dict[str, Any]) -> str:
    first = operation.get("description", "").partition("\n")[0].partition(". ")[0].rstrip(".")
    said = f"{operation['summary']}: {first}" if first else operation["summary"]
    scopes = ", ".join(f"`{scope}`" for scope in operation["x-scopes"])
    return f"| `{method.upper()} /{path.removeprefix(ROOT)}` | {scopes} | {said} |"


def test_every_operation_is_described_with_its_scopes(office):
    file = full_program(office).send("GET", "openapi.json").content
    wanted = [
        line(method, path, operation)
        for path, by_method in file["paths"].items()
        for method, operation in by_method.items()
    ]
    found = re.findall(r"^\| `(?:GET|POST|PUT|PATCH|DELETE) .*$", PAGE, re.MULTILINE)
    assert found == wanted, "\n".join(wanted)


def test_every_scope_is_described():
    for scope, may in SCOPES.items():
        assert f"| `{scope}` | {may} |" in PAGE


def test_every_shape_has_a_name_of_its_own():
    """The OpenAPI file knows shapes by their names: of two with one name it would describe both as one."""
    found = Counter(name for path in OPERATIONS.glob("*.py") for name in SHAPE.findall(path.read_text()))
    assert [name for name, times in found.items() if times > 1] == []
