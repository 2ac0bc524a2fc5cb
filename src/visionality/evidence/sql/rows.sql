-- Rows whose leaves are made again, for psycopg. Braces take columns and a table.

-- name: these
select {columns} from unnest(%(orgs)s::uuid[], %(times)s::timestamptz[], %(ids)s::uuid[]) w(org_id, created_at, id)
  join {log} r on r.org_id = w.org_id and r.created_at = w.created_at and r.id = w.id;
