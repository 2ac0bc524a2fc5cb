-- Evidence packs that were handed out, for psycopg: `keep` as vis_web, the rest as vis_reader.

-- name: keep
insert into vis.evidence_packs
  (org_id, pack_id, made_at, made_by, scope_kind, scope_name, projects, first_day, last_day, rows, row_count, fingerprint, size,
   summary, checkpoint_size, checkpoint, envelope)
values
  (%(org_id)s, %(pack_id)s, %(made_at)s, %(made_by)s, %(scope_kind)s, %(scope_name)s, %(projects)s, %(first_day)s, %(last_day)s,
   %(rows)s, %(row_count)s, %(fingerprint)s, %(size)s, %(summary)s, %(checkpoint_size)s, %(checkpoint)s, %(envelope)s);

-- name: newest
select pack_id, made_at, made_by, scope_kind, scope_name, first_day, last_day, rows, row_count, fingerprint, size, summary,
       envelope is not null as is_kept
  from vis.evidence_packs where org_id = %(org_id)s order by made_at desc, pack_id desc limit 100;

-- name: one
select pack_id, made_at, made_by, scope_kind, scope_name, projects, first_day, last_day, rows, row_count, fingerprint, size,
       summary, checkpoint_size, checkpoint, envelope is not null as is_kept
  from vis.evidence_packs where org_id = %(org_id)s and pack_id = %(pack_id)s;

-- name: envelope
select envelope, first_day, last_day from vis.evidence_packs
 where org_id = %(org_id)s and pack_id = %(pack_id)s and envelope is not null;
