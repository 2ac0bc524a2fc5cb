from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0003_pre_provider_options"), ("policy", "0003_pre_passthrough")]
    operations = [forward("visionality.registry.sql.migrations", "0004_pre_passthrough.sql")]
