from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0019_pre_key_events_by_key")]
    operations = [forward("visionality.ledger.sql.migrations", "0020_pre_seals.sql")]
