"""The one file that an auditor runs, as a process of its own (promise S4)."""

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import vis_verify
from packs import builder
from vis_verify.build import LARGEST, build

MUSEUM = Path(__file__).parents[1] / "fixtures" / "packs"
SOURCE = Path(vis_verify.__file__).parent
OLDEST = (3, 9)
KEYS = ("--key", str(MUSEUM / "keys.json"))
VALID = str(MUSEUM / "valid.json")


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("verifier") / "vis-verify.pyz"
    build(target, None)
    return target


def run(program: Path, *words: str, python: str = sys.executable, **more) -> subprocess.CompletedProcess:
    given = {"capture_output": True, "text": True, "timeout": 60, "env": {}, "encoding": "utf-8"} | more
    return subprocess.run([python, "-I", str(program), *words], check=False, **given)


def test_the_same_sources_make_the_same_bytes_and_few_of_them(tmp_path, program):
    digest = build(tmp_path / "again.pyz", None)
    assert (tmp_path / "again.pyz").read_bytes() == program.read_bytes()
    assert digest == hashlib.sha256(program.read_bytes()).hexdigest()
    assert program.stat().st_size <= LARGEST == 80 * 1024


def test_it_says_what_it_is(program):
    said = run(program, "--self").stdout
    assert hashlib.sha256(program.read_bytes()).hexdigest() in said
    assert "pins no keys" in said
    assert run(program, "--version").stdout == f"vis-verify {vis_verify.__version__}\n"


def test_a_valid_pack_verifies_from_any_folder_and_nothing_is_written(program, tmp_path):
    result = run(
        program, VALID, *KEYS, "--org", "arctrade", "--project", "HPC", "--period", "2026-11", cwd=tmp_path
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith("VERIFIED      valid.json\n")
    assert list(tmp_path.iterdir()) == []


def test_a_bad_one_does_not_and_says_why_in_one_sentence(program):
    result = run(program, str(MUSEUM / "row_left_out.json"), *KEYS)
    assert result.returncode == 50
    first, sentence, fingerprint = result.stdout.splitlines()
    assert first == "NOT VERIFIED  row_left_out.json (exit 50: gap or omission)"
    assert sentence.startswith("Expected 2 rows of segment 1 of HPC, but 1 are there: ")
    assert fingerprint.startswith("fingerprint   ")


def test_no_keys_are_believed_that_nobody_gave(program):
    result = run(program, VALID)
    assert result.returncode == 2
    assert "none were given and this build pins none" in result.stdout
    assert "--key keys.json" in result.stdout


def test_a_build_may_pin_keys_and_prints_their_fingerprints(tmp_path):
    pinned = tmp_path / "pinned.pyz"
    build(pinned, MUSEUM / "keys.json")
    said = run(pinned, "--self").stdout
    for key in (builder.PACK, builder.LOG, builder.RECEIPT):
        assert builder.fingerprint(key) in said
    assert run(pinned, VALID).returncode == 0
    assert run(pinned, str(MUSEUM / "resigned.json")).returncode == 21
    stranger = b64encode(builder.public(builder.STRANGER)).decode()
    assert run(pinned, VALID, "--key", f"pack={stranger}", "--key", f"log={stranger}").returncode == 21, (
        "what is given counts"
    )


def test_keys_that_are_none_are_not_pinned(tmp_path):
    with pytest.raises(vis_verify.keys.BadKeys):
        build(tmp_path / "pinned.pyz", MUSEUM / "valid.json")


def spellings(key) -> list[str]:
    public = key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return [b64encode(builder.public(key)).decode(), pem, builder.vkey("any/name", key, kind=1)]


@pytest.mark.parametrize("spelling", range(3))
def test_bare_keys_are_given_with_their_role_as_base64_pem_or_verifier_key(program, tmp_path, spelling):
    words = []
    for role, key in (("pack", builder.PACK), ("log", builder.LOG)):
        text = spellings(key)[spelling]
        (tmp_path / role).write_text(text + "\n")
        words += ["--key", f"{role}={tmp_path / role}"]
        if spelling != 1:
            words[-1] = f"{role}={text}"
    assert run(program, VALID, *words).returncode == 0
    swapped = [word.replace("pack=", "x=").replace("log=", "pack=").replace("x=", "log=") for word in words]
    assert run(program, VALID, *swapped).returncode == 21


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--no-such-option"],
        [VALID, "--key", "/nowhere"],
        [VALID, "--key", VALID],
        [VALID, "--key", "pack="],
        [VALID, "--key", "pack=AAAA"],
        [VALID, "--key", "/etc"],
        [VALID, *KEYS, "--period", "November"],
        [VALID, *KEYS, "--fingerprint", "abcd"],
        [VALID, *KEYS, "--prev", VALID],
        [VALID, *KEYS, "--prev", "/nowhere"],
        [VALID, *KEYS, "--witness", "somebody"],
        [VALID, *KEYS, "--witness", "a=" + builder.vkey("b")],
        [VALID, *KEYS, "--witness", "a=" + builder.vkey("a", kind=1)],
        [VALID, *KEYS, "--fresh-within", "-1"],
        [VALID, *KEYS, "--fresh-within", "soon"],
        [VALID, *KEYS, "--proof", VALID],
        ["/nowhere/pack.json", *KEYS],
        ["/tmp", *KEYS],
        ["receipt", "/nowhere", *KEYS],
        ["receipt", "a.b\0c", *KEYS],
        [VALID, *KEYS, *KEYS],
    ],
    ids=lambda words: " ".join(Path(word).name for word in words)[:60] or "nothing",
)
def test_what_cannot_be_followed_is_said_and_exits_2_or_10(program, words):
    if any("\0" in word for word in words):
        words = [word.replace("\0", "") for word in words]
    result = run(program, *words)
    assert result.returncode == (10 if words[:1] == ["receipt"] and "." in words[1] else 2), result.stdout
    assert "Traceback" not in result.stderr


def test_the_verdict_comes_as_json_too(program):
    for name, code in (("valid", 0), ("revoked", 22)):
        keys = KEYS if code == 0 else ("--key", str(MUSEUM / "keys_revoked.json"))
        result = run(program, str(MUSEUM / f"{name}.json"), *keys, "--json")
        facts = json.loads(result.stdout)
        assert (result.returncode, facts["exit_code"]) == (code, code)
        assert facts["fingerprint"] == hashlib.sha256(payload(MUSEUM / f"{name}.json")).hexdigest()


def payload(path: Path) -> bytes:
    from base64 import b64decode  # noqa: PLC0415

    return b64decode(json.loads(path.read_bytes())["payload"])


def test_a_receipt_is_given_as_its_text_or_in_a_file(program):
    text = (MUSEUM / "receipt.json").read_text()
    result = run(program, "receipt", text, *KEYS)
    assert result.returncode == 0, result.stdout
    assert "cost          1.8225 USD, billed 1.8225 USD, price version 1" in result.stdout
    assert "that the row was sealed: say --proof" in result.stdout
    sealed = run(
        program, "receipt", str(MUSEUM / "receipt.json"), *KEYS, "--proof", str(MUSEUM / "proof.json")
    )
    assert "sealed        row 1 of 3" in sealed.stdout
    assert "self-attested" in sealed.stdout


def test_a_figure_is_recognised_by_what_it_says_it_is(program):
    for words in ([str(MUSEUM / "figure.json")], ["figure", str(MUSEUM / "figure.json")]):
        result = run(program, *words, *KEYS)
        assert result.returncode == 0, result.stdout
        assert "figure        cost 12.25 USD, billed 12.5 USD, 3 rows" in result.stdout
    assert run(program, "figure", VALID, *KEYS).returncode == 12


def test_hostile_names_stay_text_on_a_terminal(program, tmp_path):
    made = builder.make()
    made.predicate["limits"] = ["\x1b[2J\x1b[31mVERIFIED\r\n\u202eDEIFIREV\u2066\x9b"]
    pack = tmp_path / "pack.json"
    pack.write_bytes(made.envelope())
    result = run(program, str(pack), *KEYS)
    assert result.returncode == 0, result.stdout
    assert not {"\x1b", "\r", "\u202e", "\u2066", "\x9b"} & set(result.stdout)
    assert "\\u{1b}[2J\\u{1b}[31mVERIFIED\\u{d}\\u{a}\\u{202e}DEIFIREV" in result.stdout


def test_a_terminal_that_knows_ascii_only_is_no_fault(program, tmp_path):
    made = builder.make()
    made.predicate["limits"] = ["Brücke \U0001f30a"]
    (tmp_path / "pack.json").write_bytes(made.envelope())
    env = {"PYTHONIOENCODING": "ascii"}
    words = [sys.executable, str(program), str(tmp_path / "pack.json"), *KEYS]
    result = subprocess.run(words, check=False, capture_output=True, timeout=60, env=env)
    assert (result.returncode, result.stdout.isascii()) == (0, True)


FORBIDDEN = {
    "socket": "import socket; socket.socket()",
    "connection": "import socket; socket.create_connection(('127.0.0.1', 9))",
    "name": "import socket; socket.getaddrinfo('localhost', 80)",
    "program": "import subprocess; subprocess.run(['true'])",
    "shell": "import os; os.system('true')",
    "fork": "import os; os.fork()",
    "file": "open('written', 'w')",
    "append": "open('written', 'ab')",
    "low": "import os; os.open('written', os.O_CREAT | os.O_WRONLY)",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_process_can_only_read(what, tmp_path):
    code = f"from vis_verify.quiet import refuse_all_but_reading; refuse_all_but_reading(); {FORBIDDEN[what]}"
    env = {"PYTHONPATH": str(SOURCE.parent)}
    result = subprocess.run(
        [sys.executable, "-B", "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=env,
    )
    assert "NotAllowed" in result.stderr
    assert result.returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_the_program_itself_refuses_sockets_before_it_reads_anything(tmp_path):
    """A copy of the program with one line more, which would tell somebody that a pack was checked."""
    source = tmp_path / "vis_verify"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    check = source / "check.py"
    call = "\n\ndef _judged("
    assert call in check.read_text()
    added = check.read_text().replace(
        "        return judge()\n",
        "        import socket; socket.create_connection(('127.0.0.1', 9))\n        return judge()\n",
    )
    check.write_text(added)
    words = [sys.executable, "-m", "vis_verify", VALID, *KEYS]
    result = subprocess.run(
        words, check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path, env={}
    )
    assert result.returncode == 3
    assert "NotAllowed" in result.stdout


def test_nothing_in_the_environment_changes_the_verdict(program):
    env = {
        "COLUMNS": "20",
        "LANG": "tr_TR.UTF-8",
        "TZ": "Pacific/Kiritimati",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "VIS_VERIFY_KEY": "x",
    }
    assert run(program, VALID, *KEYS, env=env).stdout == run(program, VALID, *KEYS).stdout
    assert run(program, "--help", env=env).stdout == run(program, "--help").stdout


def test_it_imports_nothing_but_the_standard_library_and_itself():
    for path in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(), feature_version=OLDEST)):
            names = (
                [one.name for one in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                assert name.partition(".")[0] in {*sys.stdlib_module_names, "vis_verify"}, (path.name, name)


def pythons() -> list[str]:
    """Older and newer interpreters that this machine has."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    homes = [str(one) for one in sorted(root.glob("3.*/bin/python"))] if root.is_dir() else []
    named = [shutil.which(f"python3.{minor}") for minor in range(9, 16)]
    found = {}
    for python in [*homes, *filter(None, named)]:
        asked = subprocess.run(
            [python, "-c", "import sys; print(*sys.version_info[:2])"],
            check=False,
            capture_output=True,
            text=True,
        )
        version = tuple(int(one) for one in asked.stdout.split())
        if asked.returncode == 0 and version >= OLDEST:
            found.setdefault(version, python)
    return [found[version] for version in sorted(found)]


def test_every_python_of_this_machine_gives_the_same_verdicts(program):
    """Where there is no 3.9, the sources are still parsed as 3.9 does (the test above)."""
    names = (
        "valid",
        "valid_customer",
        "row_left_out",
        "total_differs",
        "payload_deep",
        "payload_huge_number",
        "base64_space",
        "figure",
    )
    expected = [run(program, str(MUSEUM / f"{name}.json"), *KEYS).stdout for name in names]
    for python in pythons():
        found = [run(program, str(MUSEUM / f"{name}.json"), *KEYS, python=python).stdout for name in names]
        assert found == expected, python
        assert run(program, "--self", python=python).stdout == run(program, "--self").stdout
