-- CC6.6 and CC6.7, for psycopg, in a transaction that has named its organisation.

-- name: rows
-- Every server that anything could be sent to in the period.
select kind, destination_id::text as id, jsonb_build_object(
         'host', host, 'is_encrypted', is_encrypted, 'since', vis.rfc3339(since), 'until', vis.rfc3339(until)) as facts
  from vis.destinations_v1
 where org_id = %(org_id)s and since < %(at)s and (until is null or until > %(start)s)
 order by kind collate "C", destination_id::text collate "C";
