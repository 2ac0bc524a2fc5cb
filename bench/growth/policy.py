"""Many keys and many budgets: copies of those that the product itself made, put beside them by SQL.

Made one by one they would be as many acts, each with its event and its revision: minutes, and nothing that a call reads.
Triggers are off while they are written and the organisation's revision is moved once at the end, as one act would.
"""

import time
from typing import LiteralString

from bench.growth.product import AGENT, PROJECT, Product
from bench.pages import ORG

KEYS: LiteralString = "select count(*) from vis.keys_v1"
BUDGETS: LiteralString = "select count(*) from vis.budgets_v1"

_MORE_KEYS = """
with made as materialized (
  select gen_random_uuid() as id, sha256(convert_to(gen_random_uuid()::text, 'UTF8')) as handle_hmac, real
    from generate_series(1, %(more)s) n
    join (select k as real, row_number() over (order by k.id) as nr, count(*) over () as many
            from vis_control.virtual_key k where k.revoked_at is null) k on n %% many = nr - 1)
insert into vis_control.virtual_key
select k.* from made
 cross join lateral jsonb_populate_record(real, jsonb_build_object('id', id, 'handle_hmac', handle_hmac)) k"""

_MORE_BUDGETS = """
with made as materialized (
  select gen_random_uuid() as id, gen_random_uuid() as window_id, real, 'other-' || (%(there)s + n) as scope_value
    from generate_series(1, %(more)s) n
    join (select b as real, row_number() over (order by b.id) as nr
            from vis_control.budget b where b.retired_at is null and b.scope_value = any(%(ours)s)) b on n %% 4 = nr - 1),
budgets as (
  insert into vis_control.budget
  select b.* from made
   cross join lateral jsonb_populate_record(real, jsonb_build_object('id', id, 'scope_value', scope_value)) b)
insert into vis.budget_windows
select b.* from made join vis.budget_windows w on w.budget_id = (made.real).id
 cross join lateral (select w.window_id = w.budget_id as is_anchor) a
 cross join lateral jsonb_populate_record(w, jsonb_build_object(
   'budget_id', made.id, 'window_id', case when is_anchor then made.id else made.window_id end,
   'scope_value', case when is_anchor then '' else made.scope_value end)) b"""
"""With the anchor of each, and the window in which it was spent on."""

_MOVE = """
update vis.org_revisions set revision = revision + 1 where org_id = (select org_id from vis.orgs_v1 where slug = %(org)s)"""


def more_keys(product: Product, count: int) -> int:
    """Copies of the keys until there are so many; how many there are."""
    _insert(product, _MORE_KEYS, product.number(KEYS), count)
    return product.number(KEYS)


def more_budgets(product: Product, count: int) -> int:
    """Copies of the four budgets on which the key draws, of other agents and projects; how many there are."""
    _insert(product, _MORE_BUDGETS, product.number(BUDGETS), count)
    return product.number(BUDGETS)


def move(product: Product) -> None:
    """What every act does: now gateways read the organisation's policy again."""
    with product.connection() as connection:
        connection.execute(_MOVE, {"org": ORG})


def in_force_after(product: Product) -> float:
    """Seconds from the end of an act, one more key, until the gateway takes that key."""
    key = product.vis("key", "issue", "--agent", AGENT, "--project", PROJECT, "--org", ORG)
    began = time.monotonic()
    product.until_known(key)
    return time.monotonic() - began


def _insert(product: Product, statement: LiteralString, there: int, wanted: int) -> None:
    if wanted <= there:
        return
    given = {"more": wanted - there, "there": there, "ours": [AGENT, PROJECT]}
    with product.connection() as connection, connection.transaction():
        connection.execute("set local session_replication_role = replica")
        connection.execute(statement, given)
        connection.execute(_MOVE, {"org": ORG})
    with product.connection() as connection:
        connection.execute("vacuum (analyze)")
        connection.execute("checkpoint")
