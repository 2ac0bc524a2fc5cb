"""What a superuser can do to the ledger when nobody's privileges stop him: he switches the triggers off, and on again."""

from contextlib import contextmanager

import psycopg

_TRIGGERS = """
do $$ declare t regclass; begin
  for t in select c.oid::regclass from pg_class c join pg_trigger g on g.tgrelid = c.oid
            where g.tgname in ('ao_row', 'ao_trunc') and c.relnamespace = 'vis'::regnamespace group by c.oid loop
    execute format('alter table %s {} trigger ao_row', t);
    execute format('alter table %s {} trigger ao_trunc', t);
  end loop;
end $$
"""


@contextmanager
def cheating(database):
    """A connection of the superuser with no trigger in his way; all is as before when he is done."""
    with psycopg.connect(database.dsn("vis_super")) as connection:
        connection.execute(_TRIGGERS.format("disable", "disable"))
        yield connection
        connection.execute(_TRIGGERS.format("enable always", "enable always"))
