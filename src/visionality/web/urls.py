"""Every address of the web plane."""

from django.urls import include, path

from visionality.web import health
from visionality.web.api import door
from visionality.web.connecting import hooks
from visionality.web.control import urls as control
from visionality.web.first_run import page as first_run
from visionality.web.seats import (
    audit,
    chargeback,
    controls,
    coverage,
    evidence,
    finance,
    home,
    ledger,
    ledger_file,
    offboarding,
    people,
    people_files,
    person,
    projects,
    row,
    security,
    signed_figures,
    work,
)

handler500 = "visionality.web.faults.server_error"

urlpatterns = [
    path("", ledger.page, name="ledger"),
    path("rows", ledger.changes, name="changes"),
    path("rows.csv", ledger_file.download, name="rows_file"),
    path("rows/<uuid:row_id>", row.page, name="row"),
    path("people", people.page, name="people"),
    path("people.csv", people_files.table, name="people_file"),
    path("people/leavers", people.leavers, name="leavers"),
    path("people/leavers.csv", people_files.leavers, name="leavers_file"),
    path("people/<uuid:person_id>", person.page, name="person"),
    path("people/<uuid:person_id>/revoke", person.revoke, name="person_revoke"),
    path("people/<uuid:person_id>/offboarding", offboarding.page, name="offboarding"),
    path("people/<uuid:person_id>/offboarding.json", offboarding.as_json, name="offboarding_json"),
    path("people/<uuid:person_id>/offboarding.csv", offboarding.as_csv, name="offboarding_csv"),
    path("projects", projects.page, name="projects"),
    path("projects/<str:key>", projects.one, name="project"),
    path("projects/<str:key>/work", work.page, name="project_work"),
    path("finance", finance.page, name="finance"),
    path("finance/chargeback.csv", chargeback.download, name="chargeback"),
    path("finance/figures", signed_figures.page, name="signed_figures"),
    path("figures/<str:text>", signed_figures.show, name="figure"),
    path("figures/<str:text>/figure.json", signed_figures.file, name="figure_file"),
    path("home", home.home, name="home"),
    path("start", first_run.page, name="start"),
    path("start/call", first_run.call, name="start_call"),
    path("coverage", coverage.page, name="coverage"),
    path("security", security.page, name="security"),
    path("security/keys.csv", security.keys_file, name="keys_file"),
    path("audit", audit.page, name="audit"),
    path("audit.csv", audit.download, name="audit_file"),
    path("audit/<uuid:event_id>", audit.event, name="audit_event"),
    path("evidence/controls", controls.page, name="controls"),
    path("evidence/controls.csv", controls.exceptions_file, name="exceptions_file"),
    path("evidence", evidence.page, name="evidence"),
    path("evidence/keys.json", evidence.keys, name="evidence_keys"),
    path("evidence/packs/<uuid:pack_id>", evidence.pack, name="evidence_pack"),
    path("evidence/packs/<uuid:pack_id>/pack.json", evidence.file, name="evidence_pack_file"),
    path("api/v1/<path:place>", door.enter, name="api"),
    path("", include("visionality.web.accounts.urls")),
    path("hooks/<uuid:connector_id>", hooks.receive, name="hook"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    *control.urlpatterns,
]
