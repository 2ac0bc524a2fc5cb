from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0002_pre_registry"), ("policy", "0002_pre_provider_options")]
    operations = [forward("visionality.registry.sql.migrations", "0003_pre_provider_options.sql")]
