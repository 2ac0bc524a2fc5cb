-- What became of orders. Run as vis_web under row security.

-- name: done
select rows, missing, moved::text from vis.correction_done where org_id = %(org_id)s and correction_id = any(%(ids)s::uuid[]);

-- name: recent
select o.id, o.made_at, o.author, o.reason, p.key as project, o.task_id, jsonb_array_length(o.rows) as rows, d.missing, d.moved::text as moved
  from vis_control.correction_order o
  join vis_control.project p on p.id = o.project_id
  left join vis.correction_done d on d.org_id = o.org_id and d.correction_id = o.id
 where o.org_id = %(org_id)s
 order by o.made_at desc, o.id desc limit %(most)s;
