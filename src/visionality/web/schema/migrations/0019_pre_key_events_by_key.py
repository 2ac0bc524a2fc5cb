from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0018_pre_privilege_checks")]
    operations = [forward("visionality.ledger.sql.migrations", "0019_pre_key_events_by_key.sql")]
