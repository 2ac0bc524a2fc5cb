"""Promise B3: what is billed is the cost times the customer's multiplier, rounded once, and the row says by what."""

from fractions import Fraction

import pytest

from gateway.calls import CHAT, Caller, body_of, new_id
from visionality.core.money import rounded_quotient


@pytest.fixture(scope="module")
def reseller(product) -> Caller:
    product.run("customer", "add", "client_drpatel")
    product.run("project", "add", "clinic", "--customer", "client_drpatel")
    product.run("agent", "add", "aestheticiq", "--owner", "AestheticIQ")
    product.run("allocation", "set", "customer:client_drpatel", "--markup", "1.275")
    caller = Caller(product, product.issue(agent="aestheticiq", project="clinic"))

    def is_marked_up() -> bool:
        call = new_id()
        caller.post(CHAT, call)
        return caller.row(call)["billed_nusd"] != caller.row(call)["cost_nusd"]

    product.until(is_marked_up)
    return caller


def test_the_billed_amount_is_the_unrounded_cost_times_the_multiplier(reseller):
    call = new_id()
    usage = {"prompt_tokens": 12_347, "completion_tokens": 33}
    reseller.post(CHAT, call, body_of(CHAT, model="gpt-4o-mini"), usage=usage)
    row = reseller.row(call)
    exact = Fraction(12_347 * 150 + 33 * 600) * Fraction("1.275")
    assert row["cost_nusd"] == 12_347 * 150 + 33 * 600
    assert row["billed_nusd"] == rounded_quotient(*exact.as_integer_ratio())
    assert row["tags"]["multiplier"] == "1.275"


def test_a_project_s_own_markup_goes_before_its_customer_s_and_others_are_billed_at_cost(
    reseller, product, caller
):
    product.run("project", "add", "clinic-2", "--customer", "client_drpatel")
    product.run("allocation", "set", "project:clinic-2", "--markup", "2")
    own = Caller(product, product.issue(agent="aestheticiq", project="clinic-2"))
    for somebody, multiplier in ((own, 2), (caller, 1)):
        call = new_id()
        somebody.post(CHAT, call)
        row = somebody.row(call)
        assert row["cost_nusd"] > 0
        assert row["billed_nusd"] == multiplier * row["cost_nusd"]
