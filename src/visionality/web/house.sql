-- What every page says of the organisation that it is of, for psycopg. Run as vis_web in a transaction that has set vis.org_id.

-- name: house
-- What it is called, which providers it has a live key of, and whether anything but the calls of `vis try` was written down.
select o.name, o.slug,
       array(select distinct provider from vis_control.provider_credential where org_id = o.id and retired_at is null) as providers,
       exists (select from vis.request_logs where org_id = o.id and project_id is distinct from %(trial)s) as has_begun
  from vis_control.organisation o where o.id = %(org_id)s;
