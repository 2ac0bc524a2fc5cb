"""Every address of the web plane."""

from django.urls import path

from visionality.web import health
from visionality.web.accounts import login
from visionality.web.api import identities
from visionality.web.connecting import hooks
from visionality.web.seats import coverage, ledger, row

handler500 = "visionality.web.faults.server_error"

urlpatterns = [
    path("", ledger.page, name="ledger"),
    path("rows", ledger.changes, name="changes"),
    path("rows/<uuid:row_id>", row.page, name="row"),
    path("coverage", coverage.page, name="coverage"),
    path("api/v1/identities", identities.table, name="api_identities"),
    path("api/v1/identities/<path:agent_sub>", identities.agent, name="api_identity"),
    path("login", login.ask, name="login"),
    path("login/<str:token>", login.use, name="use_link"),
    path("logout", login.leave, name="logout"),
    path("hooks/<uuid:connector_id>", hooks.receive, name="hook"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
]
