from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_pre_accounts"), ("schema", "0002_pre_registry")]
    operations = [
        migrations.AddField(
            "organisation", "time_zone", models.CharField(max_length=60, default="UTC", db_default="UTC")
        ),
    ]
