"""Makes the one file that an auditor runs: `python -m vis_verify.build dist/vis-verify.pyz [keys.json]`.

The same sources make the same bytes, on any machine: names in order, one time, one owner, stored by one way of packing.
The file is what `zipapp` would make, whose times are those of the files.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

from vis_verify.keys import read_list
from vis_verify.pinned import NAME

LARGEST = 80 * 1024
_HERE = Path(__file__).parent
_FIRST_LINE = b"#!/usr/bin/env python3\n"
_MAIN = b"from vis_verify.command import run\n\nrun()\n"
_TIME = (1980, 1, 1, 0, 0, 0)


def build(target: Path, keys: Path | None) -> str:
    """SHA-256 of the file that was made. Raises BadKeys when the keys to pin are none."""
    parts = {
        f"vis_verify/{path.name}": path.read_bytes() for path in _HERE.glob("*.py") if path.name != "build.py"
    }
    parts["__main__.py"] = _MAIN
    if keys is not None:
        text = keys.read_text(encoding="utf-8")
        read_list(text)
        parts[f"vis_verify/{NAME}"] = text.encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(_FIRST_LINE)
        with zipfile.ZipFile(file, "w") as archive:
            for name in sorted(parts):
                entry = zipfile.ZipInfo(name, _TIME)
                entry.create_system, entry.external_attr = 3, 0o644 << 16
                archive.writestr(entry, parts[name], zipfile.ZIP_DEFLATED, 9)
    target.chmod(0o755)
    content = target.read_bytes()
    assert len(content) <= LARGEST, f"{len(content)} bytes: an auditor is to read it whole"
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    target = Path(sys.argv[1])
    digest = build(target, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    sys.stdout.write(f"{digest}  {target} ({target.stat().st_size} bytes)\n")


if __name__ == "__main__":
    main()
