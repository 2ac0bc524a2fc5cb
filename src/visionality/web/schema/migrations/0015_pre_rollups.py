from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0014_pre_task_classes")]
    operations = [forward("visionality.ledger.sql.migrations", "0015_pre_rollups.sql")]
