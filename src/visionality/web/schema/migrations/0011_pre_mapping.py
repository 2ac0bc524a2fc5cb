from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [
        ("schema", "0010_pre_replay"),
        ("policy", "0007_pre_mapping"),
        ("issuing", "0003_pre_claims"),
    ]
    operations = [forward("visionality.registry.sql.migrations", "0011_pre_mapping.sql")]
