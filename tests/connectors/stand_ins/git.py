"""What the simulated Git hosts share."""

from datetime import datetime

from connectors.stand_ins.server import Request, StandIn
from connectors.world import Pull, Repo, repositories


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class GitStandIn(StandIn):
    def __init__(self) -> None:
        super().__init__()
        self.repos = repositories()

    def repo(self, path: str) -> Repo | None:
        return next((one for one in self.repos if path in (one.path, str(one.id), f"{{{one.id}}}")), None)


def pull(repo: Repo, number: str) -> Pull | None:
    return next((one for one in repo.pulls if str(one.number) == number), None)


def linked(service: StandIn, request: Request, page: int) -> str:
    """The address of another page of the same list."""
    query = {**request.query, "page": [str(page)]}
    return (
        f"{service.url}{request.path}?{'&'.join(f'{name}={one}' for name, v in query.items() for one in v)}"
    )
