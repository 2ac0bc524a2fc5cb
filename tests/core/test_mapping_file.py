"""The mapping file (A2): read whole or refused whole, every mistake with its line."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from visionality.core.branch_pattern import LONGEST, fault
from visionality.core.change import Change
from visionality.core.mapping_changes import map_changes, wanted
from visionality.core.mapping_file import LARGEST, BadMap, Map, Repo, read_map
from visionality.core.plain_yaml import MOST_NODES
from visionality.core.task_class_rules import ClassRule

CUSTOMERS = {"houston-power"}
PROJECTS = {"HPC", "SOCE"}
EMPTY = Map({}, {}, {})
EXAMPLE = r"""
version: 1
projects:
  HPC: {customer: houston-power, aliases: [HPCX]}
  CAISO-Q3: {aliases: [CAISOQ3]}
repos:
  bitbucket.org/arctrade/hpc-billing: {project: HPC, default_epic: HPC-100, branch_pattern: '^(?:feature/)?(HPC-\d+)'}
  socedison-ingest: SOCE          # a bare name
"""


def read(text: str) -> Map:
    return read_map(text.encode(), CUSTOMERS, PROJECTS)


def mistakes(content: str | bytes) -> list[tuple[int, str]]:
    with pytest.raises(BadMap) as refused:
        read_map(content.encode() if isinstance(content, str) else content, CUSTOMERS, PROJECTS)
    return [(mistake.line, mistake.words) for mistake in refused.value.mistakes]


def test_a_file_says_projects_aliases_and_repos():
    assert read(EXAMPLE) == Map(
        {"HPC": "houston-power", "CAISO-Q3": ""},
        {"HPCX": "HPC", "CAISOQ3": "CAISO-Q3"},
        {
            "bitbucket.org/arctrade/hpc-billing": Repo("HPC", "", "HPC-100", r"^(?:feature/)?(HPC-\d+)"),
            "socedison-ingest": Repo("SOCE"),
        },
    )


def test_every_mistake_of_a_file_is_told_with_its_line():
    found = mistakes(r"""version: 2
projects:
  HPC: {customer: houston, aliases: [HPCX, caiso-q3]}
  CAISO-Q3: {aliases: [CAISOQ3, hpcx], colour: red}
  no spaces: {}
repos:
  git@bitbucket.org:ArcTrade/hpc-billing.git: {project: HPC, default_epic: hpc 1, branch_pattern: '(a+)+'}
  https://bitbucket.org/arctrade/HPC-billing: HPC
  x y: HPC
  z: {}
  q: HPCX
  r: [HPC]
  s: {project: HPC, customer: [a]}
other: 1
""")
    expected = [
        (1, "version 2 is not known"),
        (3, "caiso-q3 cannot be an alias of HPC: there is a project CAISO-Q3"),
        (3, "there is no customer houston"),
        (4, "'colour' is not known here: expected customer, aliases"),
        (4, "hpcx is the alias HPCX with another case"),
        (5, "'no spaces' cannot be a project"),
        (7, "'hpc 1' is no issue key"),
        (7, "the branch pattern has nested quantifiers"),
        (8, "is mapped already, in line 7, as bitbucket.org/arctrade/hpc-billing"),
        (9, "'x y' is no repo"),
        (10, "z has no project"),
        (11, "HPCX is an alias of HPC: name the project itself"),
        (12, "r must be a project, or a mapping"),
        (13, "`customer` must be text"),
        (14, "'other' is not known here"),
    ]
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (_, told), (_, part) in zip(found, expected, strict=True):
        assert part in told


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("version: 1\nprojects: &x {}", 2, "anchors (&x) are not allowed"),
        ("version: 1\nprojects:\n  HPC: *x", 3, "aliases (*x) are not allowed"),
        ("version: !!int 1", 1, "tags (tag:yaml.org,2002:int) are not allowed"),
        ("version: 1\nprojects: !!python/object/apply:os.system [ls]", 2, "are not allowed"),
        ("version: 1\nrepos:\n  x: {<<: {project: HPC}}", 3, "merge keys (<<) are not allowed"),
        ("version: 1\nrepos:\n  x: HPC\n  x: SOCE", 4, "'x' stands twice: first in line 3"),
        ("version: 1\nrepos:\n  ? [a]\n  : HPC", 3, "a key must be text"),
        ("version: 1\n--- \nversion: 1", 2, "a second document begins"),
        ("%YAML 1.1\n---\nversion: 1", 1, "directives (%) are not allowed"),
        ("version: 1\nprojects: {", 2, "this is no YAML"),
        ("version: 1\nprojects:\n\tHPC: {}", 3, "this is no YAML"),
        ("version: 1\n# \x07", 2, "the character U+0007 is not allowed"),
        (b"version: 1\n# \xff", 2, "this is no UTF-8"),
        ("", 1, "`version` is missing"),
        ("[" * 100_000, 1, "more than 8 levels"),
        ("- x\n" * MOST_NODES, MOST_NODES, f"more than {MOST_NODES} values"),
        ("#" * (LARGEST + 1), 1, f"at most {LARGEST} are read"),
        ("version: 1\nrepos: [x]", 2, "`repos` must be a mapping"),
        ("version: 1\nrepos:\n  file:///home/x: HPC", 3, "is no repo"),
        ("version: 1\nrepos:\n  x: {project: ''}", 3, "`project` must be text"),
        ("version: 1\nprojects: {HPC: {aliases: HPCX}}", 2, "`aliases` must be a list"),
        ("version: 1\nprojects: {HPC: {aliases: [SOCE]}}", 2, "there is a project SOCE"),
        ("version: 1\nprojects:\n  HPC: {aliases: [A]}\n  SOCE: {aliases: [A]}", 4, "A is an alias of HPC already"),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_refused_with_its_line(text, line, told):
    assert any(at == line and told in words for at, words in mistakes(text)), mistakes(text)


def test_a_mistake_of_the_form_does_not_hide_those_of_the_content():
    found = mistakes("version: 1\nprojects:\n  HPC: &x {customer: nobody}\nrepos:\n  a b: HPC")
    assert [line for line, _ in found] == [3, 3, 5]


@pytest.mark.parametrize(
    "spelling",
    [
        "git@bitbucket.org:arctrade/hpc-billing.git",
        "ssh://git@bitbucket.org/arctrade/hpc-billing",
        "https://alice@BitBucket.org/arctrade/hpc-billing.git",
        "bitbucket.org/ArcTrade/HPC-Billing",
    ],
)
def test_a_remote_is_one_repo_however_it_is_spelled(spelling):
    plain = "bitbucket.org/arctrade/hpc-billing"
    assert list(read(f"version: 1\nrepos:\n  '{spelling}': HPC").repos) == [plain]
    ((line, words),) = mistakes(f"version: 1\nrepos:\n  '{spelling}': HPC\n  'https://{plain}': SOCE")
    assert line == 4
    assert plain in words


def test_values_are_text_whatever_yaml_thinks_of_them():
    found = read("version: 1\nprojects:\n  NO:\n  1e3: {}\n  0x1F: {}\nrepos:\n  on: NO\n  2026-01-01: 1e3")
    assert list(found.projects) == ["NO", "1e3", "0x1F"]
    assert found.repos == {"on": Repo("NO"), "2026-01-01": Repo("1e3")}


@given(st.text(max_size=200) | st.binary(max_size=200) | st.text("version: 1{}[]&*!\n- ?|>'\"#", max_size=60))
def test_any_file_is_read_or_refused_with_lines_that_it_has(content):
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    most = len(re.split("\r\n|[\n\r\x85\u2028\u2029]", raw.decode("utf-8", "replace"))) + 1
    assert all(1 <= line <= most for line in lines_refused(raw))


def lines_refused(content: bytes) -> list[int]:
    """The lines of the mistakes; none for a file that is read."""
    try:
        read_map(content, CUSTOMERS, PROJECTS)
    except BadMap as refused:
        return [mistake.line for mistake in refused.mistakes]
    return []


keys = st.from_regex(r"[A-Z][A-Z0-9]{1,5}", fullmatch=True)
maps = st.builds(
    lambda projects, names, repos: Map(
        projects,
        {f"alias-{name}": project for name, project in zip(names, projects, strict=False)},
        {f"github.com/arctrade/{name}": Repo(project) for name, project in repos.items()},
    ),
    st.dictionaries(keys, st.sampled_from(["", "houston-power"]), max_size=4),
    st.lists(st.from_regex(r"[a-z]{3}", fullmatch=True), unique=True, max_size=4),
    st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), keys, max_size=4),
)


def written(said: Map) -> str:
    projects = {
        key: {
            **({"customer": customer} if customer else {}),
            "aliases": [alias for alias, of in said.aliases.items() if of == key],
        }
        for key, customer in said.projects.items()
    }
    repos = {name: {"project": repo.project} for name, repo in said.repos.items()}
    return yaml.safe_dump({"version": 1, "projects": projects, "repos": repos})


@given(maps)
def test_what_is_written_is_read(said):
    assert read(written(said)) == said


@given(maps, maps)
def test_applying_a_file_twice_changes_nothing(now, file):
    after = wanted(now, file)
    assert map_changes(after, wanted(after, file)) == []
    assert (map_changes(now, after) == []) == (now == after)
    assert set(now.projects) <= set(after.projects)
    assert (after.aliases, after.repos) == (file.aliases, file.repos)


def test_a_diff_shows_what_is_added_changed_and_removed():
    before = Map({"HPC": ""}, {"OLD": "HPC"}, {"a": Repo("HPC", default_epic="HPC-1"), "b": Repo("HPC")})
    after = Map({"HPC": "houston-power", "SOCE": ""}, {}, {"a": Repo("SOCE"), "c": Repo("HPC")})
    assert list(map(str, map_changes(before, after))) == [
        "~ project HPC: customer none → houston-power",
        "+ project SOCE",
        "- alias OLD: project HPC",
        "~ repo a: project HPC → SOCE, default epic HPC-1 → none",
        "- repo b: project HPC",
        "+ repo c: project HPC",
    ]
    assert map_changes(EMPTY, Map({"HPC": ""}, {}, {})) == [Change("added", "project HPC")]


@pytest.mark.parametrize(
    "pattern",
    [r"^(?:feature/)?(HPC-\d+)", r"(?P<key>[A-Z]+-[0-9]{1,6})", r"(?:feat|fix)/(X-\d+)", r"(?:[a-z]+/)?(X-\d+)"],
)  # fmt: skip
def test_a_branch_pattern_that_cannot_take_long_is_taken(pattern):
    assert fault(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(a+)+", "nested quantifiers"),
        ("((?:a*)*)", "nested quantifiers"),
        ("(x)(?:a|a)*", "nested quantifiers"),
        ("(?:ab?){2,}(x)", "nested quantifiers"),
        ("a*b*c*d*(x)", "repeats more than 3 times"),
        ("a?a?a?a?a?a?a?(a)", "more than 6 optional parts"),
        ("(?=a)(x)", "looks ahead or behind"),
        ("(?<!a)(x)", "looks ahead or behind"),
        (r"(a)\1", "refers back to a group"),
        ("HPC", "has 0 groups"),
        ("(a)(b)", "has 2 groups"),
        ("(a", "is no regular expression"),
        ("a{99999999999999}(b)", "is no regular expression"),
        ("(" + "a" * LONGEST + ")", "at most 200 are allowed"),
    ],
)
def test_a_branch_pattern_that_could_take_long_is_refused(pattern, told):
    assert told in fault(pattern)


TASK_CLASSES = """version: 1
task_classes:
  - {class: billing-review, when: {client: claude-code, tool: 'create_*'}}
  - class: nightly
    when:
      system_starts: "You are the nightly job."
      header: {x-vis-team: billing, x-vis-job: '7'}
"""


def test_a_file_says_what_kinds_of_work_there_are_in_their_order():
    found = read(TASK_CLASSES)
    assert found.task_classes == (
        ClassRule("billing-review", client="claude-code", tool="create_*"),
        ClassRule(
            "nightly",
            system_starts="You are the nightly job.",
            headers=(("x-vis-job", "7"), ("x-vis-team", "billing")),
        ),
    )
    nightly = (
        "task class rule 2: class nightly, system starts 'You are the nightly job.', "
        "header x-vis-job: 7, x-vis-team: billing"
    )
    shown = [str(change) for change in map_changes(EMPTY, found)]
    assert shown == [
        "+ task class rule 1: class billing-review, client claude-code, tool create_*",
        f"+ {nightly}",
    ]
    fewer = Map({}, {}, {}, (ClassRule("billing-review", tool="create_*"),))
    assert [str(change) for change in map_changes(found, wanted(found, fewer))] == [
        "~ task class rule 1: client claude-code → none",
        f"- {nightly}",
    ]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("class: Review, when: {client: x}", "'Review' cannot be a task class"),
        (f"class: {'a' * 41}, when: {{client: x}}", "cannot be a task class"),
        ("when: {client: x}", "a task class has no `class`"),
        ("class: a", "a task class says nothing in `when`"),
        ("class: a, when: {}", "a task class says nothing in `when`"),
        ("class: a, when: [x]", "when must be a mapping"),
        ("class: a, when: {prompt: x}", "'prompt' is not known here: expected client, tool, model, path, system_starts, header"),
        ("class: a, when: {tool: [x]}", "`tool` must be text"),
        (f"class: a, when: {{system_starts: {'y' * 201}}}", "`system_starts` has 201 characters: at most 200"),
        ("class: a, when: {header: x}", "`header` must be a mapping of 1 to 8"),
        ("class: a, when: {header: {authorization: x}}", "'authorization' cannot be asked for"),
        ("class: a, when: {header: {X-Vis-Team: x}}", "'X-Vis-Team' cannot be asked for"),
        ("class: a, when: {header: {x-vis-team: ''}}", "`x-vis-team` must be text"),
        ("class: a, when: {client: x}, then: y", "'then' is not known here"),
    ],
)  # fmt: skip
def test_a_task_class_that_cannot_be_is_told_with_its_line(rule, told):
    found = mistakes(f"version: 1\ntask_classes:\n  - {{class: fine, when: {{client: x}}}}\n  - {{{rule}}}")
    assert any(line == 4 and told in words for line, words in found), found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("task_classes: {a: b}", "`task_classes` must be a list"),
        ("task_classes: [x]", "a task class must be a mapping"),
        ("task_classes: [" + "{class: a, when: {client: x}}, " * 51 + "]", "at most 50 rules"),
    ],
)
def test_task_classes_are_a_list_of_at_most_fifty(text, told):
    ((line, words),) = mistakes(f"version: 1\n{text}")
    assert line == 2
    assert told in words
