-- What became of orders. Run as vis_web under row security.

-- name: done
select rows, missing, moved::text from vis.correction_done where org_id = %(org_id)s and correction_id = any(%(ids)s::uuid[])
