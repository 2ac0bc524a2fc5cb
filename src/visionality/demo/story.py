"""Who ArcTrade is: its people, projects, customers, repositories and the work that they do."""

from dataclasses import dataclass
from decimal import Decimal

SLUG = "demo-arctrade"
NAME = "ArcTrade (demo)"
SOURCE = "demo"
"""`source` of every row: nobody was called and nothing was paid."""
BY = "demo:setup"
"""The actor of every act."""
ROWS = 487_000
FEWEST_ROWS = 1_500
"""Below that the sums cannot be met by calls of a believable size."""

HPC_NUSD = 4_237_180_000_000
SOCE_CAP_NUSD = 2_500_000_000_000
REDESIGN_NUSD = 4_812_000_000_000
COMMITS = 184
COMMITS_OF_A_PULL_REQUEST = 8
LEAKED_CAP_NUSD = 5_000_000_000
"""A day, of the key that leaks."""


@dataclass(frozen=True, slots=True)
class Project:
    key: str
    name: str
    customer: str
    gl_code: str
    unit: str
    repo: str
    """Its remote; empty where work of it is in no repository."""
    tracker: str
    """How its issues' keys begin."""
    tasks: tuple[str, ...]
    """What its issues are about. The first is number FIRST_TASK and the others follow."""
    epic: str
    multiplier: str = ""
    """What its customer's costs are multiplied by; empty for nothing."""


@dataclass(frozen=True, slots=True)
class Person:
    """An engineer, or an agent of the company when `sso_sub` is empty."""

    sub: str
    owner: str
    sso_sub: str
    team: str
    tool: str
    """The client that they work with, and its version."""


FIRST_TASK = 1234
EPIC = 1200
REDESIGN = "CAISO-900"
FIRST_REDESIGN_TASK = 901

HPC = Project(
    "HPC",
    "Houston Power Contract",
    "houston-power",
    "6100",
    "power",
    "bitbucket.org/arctrade/hpc-billing",
    "HPC",
    (
        "add PJM rebill rules",
        "true up settlement statements",
        "price ancillary services",
        "import meter reads",
        "round invoice lines",
        "explain rebills to the desk",
    ),
    "HPC-1200",
)
SOCE = Project(
    "SOCE",
    "SoCal Edison",
    "socal-edison",
    "6110",
    "power",
    "bitbucket.org/arctrade/socedison-ingest",
    "SOCE",
    (
        "split the ingest monolith",
        "validate interval data",
        "retry lost files",
        "load green button exports",
        "report late meters",
    ),
    "SOCE-1200",
    "1.08",
)
CAISO = Project(
    "CAISO-Q3",
    "CAISO settlement, third quarter",
    "caiso-desk",
    "6120",
    "power",
    "bitbucket.org/arctrade/caiso-settlement",
    "CAISO",
    ("fetch settlement statements", "map charge codes", "dispute a charge", "show shadow prices"),
    "CAISO-1200",
    "1.12",
)
ERCOT = Project(
    "ERCOT-DAM",
    "ERCOT day-ahead market",
    "lone-star-brokers",
    "6130",
    "power",
    "bitbucket.org/arctrade/ercot-dam",
    "ERCOT",
    ("rank bids", "replay clearing prices", "watch congestion", "warn of price spikes", "test bid curves"),
    "ERCOT-1200",
    "1.1",
)
TOOLS = Project(
    "DESK-TOOLS",
    "Tools of our own",
    "",
    "7200",
    "platform",
    "bitbucket.org/arctrade/desk-tools",
    "DESK",
    ("speed up the build", "renew certificates", "move logs", "review dependencies"),
    "DESK-1200",
)
PROJECTS = (HPC, SOCE, CAISO, ERCOT, TOOLS)

REDESIGN_TASKS = (
    "draw the statement page anew",
    "split the charge table",
    "filter by trade date",
    "compare two versions",
    "page through intervals",
    "colour disputes",
    "print a statement",
    "download a statement",
    "keep columns wide",
    "jump to a charge code",
    "sum by resource",
    "show who approved",
    "undo an approval",
    "say what changed",
    "open on a phone",
    "read out to a screen reader",
    "remember filters",
    "link to the invoice",
    "load in a second",
    "drop the old page",
    "move bookmarks",
    "teach the desk",
    "measure the new page",
)
"""One for each pull request of the redesign."""

CUSTOMERS = {
    "houston-power": "Houston Power",
    "socal-edison": "SoCal Edison",
    "caiso-desk": "CAISO desk of Pacific Trading",
    "lone-star-brokers": "Lone Star Brokers",
}
MARKUPS = {one.customer: Decimal(one.multiplier) for one in PROJECTS if one.multiplier}
TEAMS = {
    "billing": ("Billing", "CC-410", "power"),
    "ingest": ("Ingest", "CC-420", "power"),
    "settlement": ("Settlement", "CC-430", "power"),
    "platform": ("Platform", "CC-900", "platform"),
}

ALICE = Person("alice@arctrade", "Alice K.", "00u-alice", "billing", "claude-code 2.1.12")
DEREK = Person("derek@arctrade", "Derek M.", "00u-derek", "ingest", "claude-code 2.1.12")
SOFIA = Person("sofia@arctrade", "Sofia R.", "00u-sofia", "settlement", "codex 0.63.0")
"""Resigns on a Friday."""
PRIYA = Person("priya@arctrade", "Priya S.", "00u-priya", "settlement", "claude-code 2.1.12")
TOM = Person("tom@arctrade", "Tom B.", "00u-tom", "billing", "codex 0.63.0")
MEI = Person("mei@arctrade", "Mei L.", "00u-mei", "ingest", "gemini-cli 0.16.0")
JONAS = Person("jonas@arctrade", "Jonas W.", "00u-jonas", "settlement", "continue 1.2.9")
OMAR = Person("omar@arctrade", "Omar H.", "00u-omar", "platform", "claude-code 2.1.9")
LENA = Person("lena@arctrade", "Lena P.", "00u-lena", "billing", "continue 1.2.9")
NIGHTLY = Person("nightly-review@arctrade", "Platform", "", "platform", "openai-python 2.8.1")
QUOTES = Person("quote-assistant@arctrade", "Platform", "", "platform", "openai-python 2.8.1")
PEOPLE = (ALICE, DEREK, SOFIA, PRIYA, TOM, MEI, JONAS, OMAR, LENA, NIGHTLY, QUOTES)

FIRST_BRANCH = "HPC-1234-add-pjm-rebill-rules"
STRAY_REPO = "bitbucket.org/arctrade/scratch-notebooks"
"""In no map: its calls wait for a project."""


def branch_of(task: str, about: str) -> str:
    """HPC-1234, "add PJM rebill rules": HPC-1234-add-pjm-rebill-rules."""
    return f"{task}-{about.lower().replace(' ', '-')}"


def task_of(project: Project, number: int) -> str:
    """The key of the issue that the project's n-th piece of work is."""
    return f"{project.tracker}-{FIRST_TASK + number}"


def redesign_task(number: int) -> str:
    return f"CAISO-{FIRST_REDESIGN_TASK + number}"


def mapping_file() -> bytes:
    """The one file that maps repositories to projects."""
    aliases = {CAISO: "CAISO", ERCOT: "ERCOT", TOOLS: "DESK"}
    lines = ["version: 1", "projects:"]
    for one in PROJECTS:
        said = [f"customer: {one.customer}"] if one.customer else []
        said += [f"aliases: [{aliases[one]}]"] if one in aliases else []
        lines.append(f"  {one.key}: {{{', '.join(said)}}}")
    lines.append("repos:")
    lines += [f"  {one.repo}: {{project: {one.key}}}" for one in PROJECTS]
    return "\n".join([*lines, ""]).encode()
