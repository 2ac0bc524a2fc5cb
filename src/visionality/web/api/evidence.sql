-- Packs that were handed out, for psycopg. Run as vis_reader inside a transaction that has set vis.org_id.

-- name: packs
-- The newest first, behind a place.
select pack_id, made_at as generated_at, made_by as generated_by, scope_kind, scope_name, projects, first_day as first,
       last_day as last, rows, row_count, fingerprint, size, envelope is not null as is_kept
  from vis.evidence_packs
 where org_id = %(org_id)s and (%(pack_id)s::uuid is null or pack_id = %(pack_id)s::uuid)
   and (%(before)s::timestamptz is null or (made_at, pack_id) < (%(before)s::timestamptz, %(before_id)s::uuid))
 order by made_at desc, pack_id desc limit %(limit)s;

-- name: envelope
select envelope, fingerprint from vis.evidence_packs where org_id = %(org_id)s and pack_id = %(pack_id)s;
