from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0022_pre_verifications")]
    operations = [forward("visionality.registry.sql.migrations", "0023_pre_controls.sql")]
