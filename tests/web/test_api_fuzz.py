"""The API under requests that Schemathesis thinks of, out of its own OpenAPI file."""

import os
import subprocess
import sys

from web.programs import ROOT, full_program
from web.rows import call

CONFIG = """
[generation]
deterministic = true
max-examples = 2
database = "none"

[phases.fuzzing]
enabled = {fuzzing}

[phases.stateful]
enabled = false

[phases.coverage]
unexpected-methods = ["TRACE"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "412", "413", "415", "422", "428"]

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "404", "409", "412", "422", "428"]
"""
"""What a body says may name nothing that is there: 422 answers what is well formed and cannot be done. Each operation is tried with
what its schema marks as an edge; `make api-fuzz` tries random requests as well."""


def test_no_request_that_schemathesis_thinks_of_breaks_the_api(office, tmp_path):
    program = full_program(office)
    office.write(call())
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.replace("{fuzzing}", "true" if "VIS_API_FUZZ" in os.environ else "false"))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"),
        f"http://127.0.0.1:{office.plane.port}{ROOT}openapi.json",
        *("--header", f"Authorization: Bearer {program.token}"),
        *("--checks", "all"),
        *("--workers", "2", "--seed", "7", "--no-shrink", "--continue-on-failure"),
        *("--rate-limit", "5500/m"),  # one token may ask 6000 times in a minute
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5000:]
    paths = program.send("GET", "openapi.json").content["paths"]
    count = sum(len(by_method) for by_method in paths.values())
    assert f"Tested: {count}" in done.stdout
