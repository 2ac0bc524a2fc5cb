"""The web plane while its database is away, and after it came back."""

from conftest import clone_of
from visionality.core.service_token import from_entropy
from web.browsing import plane_on


def test_a_page_says_that_the_database_is_away_and_comes_back_with_it(cluster, template):
    with clone_of(cluster, template) as database, plane_on(database, "sandbox") as plane:
        with database.as_role("vis_auditor") as connection:
            ((org_id,),) = connection.execute(
                "select org_id from vis.orgs_v1 where slug = 'default'"
            ).fetchall()
        browser = plane.signed_in(org_id)
        assert browser.get("/").status == 200
        close = f"alter database {database.name} allow_connections false"
        leave = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database.name}'"
        cluster.run(close, leave)
        try:
            away = browser.get("/")
            assert (away.status, browser.get("/readyz").status, browser.get("/livez").status) == (
                503,
                503,
                200,
            )
            assert "database is away" in away.text
            bearer = f"Bearer {from_entropy(org_id, bytes(32))}"
            for_programs = browser.get("/api/v1/identities", authorization=bearer)
            assert for_programs.status == 503
            assert for_programs.headers["content-type"] == "application/problem+json"
        finally:
            cluster.run(f"alter database {database.name} allow_connections true")
        assert browser.get("/readyz").status == 200
        cluster.run(leave)
        assert browser.get("/").status == 200
