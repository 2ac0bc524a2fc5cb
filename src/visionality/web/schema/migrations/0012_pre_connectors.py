from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [
        ("schema", "0011_pre_mapping"),
        ("connecting", "0001_pre_connecting"),
    ]
    operations = [forward("visionality.registry.sql.migrations", "0012_pre_connectors.sql")]
