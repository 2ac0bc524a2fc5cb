-- What witnesses signed, for psycopg. Run inside a transaction that has named its organisation.

-- name: add
-- Once for each witness and head; no row when it is there already.
insert into vis.head_cosignatures (org_id, log, size, root, name, line, added_at)
values (%(org_id)s, %(log)s, %(size)s, %(root)s, %(name)s, %(line)s, %(now)s)
on conflict (org_id, log, size, name) do nothing returning name;

-- name: lines
select line from vis.head_cosignatures
 where org_id = %(org_id)s and log = %(log)s and size = %(size)s and root = %(root)s order by name;

-- name: newest
-- The greatest head of a log that each witness signed.
select distinct on (name) name, size, added_at from vis.head_cosignatures
 where org_id = %(org_id)s and log = %(log)s order by name, size desc;
