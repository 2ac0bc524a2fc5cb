from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0009_pre_master_root")]
    operations = [forward("visionality.ledger.sql.migrations", "0010_pre_replay.sql")]
