from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [
        ("schema", "0007_pre_alerts"),
        ("accounts", "0003_pre_epochs_and_floor"),
        ("policy", "0006_pre_floors"),
        ("issuing", "0002_pre_binding"),
    ]
    operations = [forward("visionality.registry.sql.migrations", "0008_pre_binding.sql")]
