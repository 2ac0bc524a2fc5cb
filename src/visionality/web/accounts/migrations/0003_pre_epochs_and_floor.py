from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_pre_time_zone"), ("schema", "0007_pre_alerts")]
    operations = [
        migrations.AddField("organisation", "level_floor", models.SmallIntegerField(default=0, db_default=0)),
        migrations.AddField("organisation", "epoch", models.IntegerField(default=1, db_default=1)),
        migrations.AddField("person", "epoch", models.IntegerField(default=1, db_default=1)),
    ]
